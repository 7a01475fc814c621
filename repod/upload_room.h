// SPDX-License-Identifier: Apache-2.0
/* How much more a repository may hold; private to repod/. */
#pragma once

#include "store/store.h"

#define ROOM_SPARE_BYTES                                                                                     \
    ((uint64_t)16 << 20) /* of the disk, for indexes and logs: publishing goes on when uploads cannot */

/**
 * upload_room: bytes that may be uploaded to @store now; removes the parts that nobody went on with for a day. May block.
 * @quota: of all blobs and parts; 0: none
 * @missing: bytes that are promised to other uploads
 * @freed: bytes of a part that will be replaced
 */
bool upload_room(Store *store, uint64_t quota, uint64_t missing, uint64_t freed, uint64_t *out_room,
                 GError **error);
