// SPDX-License-Identifier: Apache-2.0
/* Quota and free space. */
#include "repod/upload_room.h"

#include "repod/upload.h"

#include <sys/statvfs.h>
#include <time.h>

static uint64_t
minus(uint64_t all, uint64_t part)
{
    return all > part ? all - part : 0;
}

static bool
measure(Store *store, uint64_t *out_bytes, GError **error)
{
    g_autoptr(GPtrArray) blobs = store_list_blobs(store, error);

    for (guint i = 0; blobs != NULL && i < blobs->len; i++)
        *out_bytes += ((StoreBlob *)g_ptr_array_index(blobs, i))->size;
    return blobs != NULL;
}

bool
upload_room(Store *store, uint64_t quota, uint64_t missing, uint64_t freed, uint64_t *out_room,
            GError **error)
{
    uint64_t used = 0, room;
    struct statvfs disk;

    if (!store_part_sweep(store, time(NULL) - UPLOAD_KEEP_SECONDS, &used, error))
        return false;
    if (statvfs(store_location(store), &disk) < 0)
        return error_set_errno(error, "%s", store_location(store));
    /* What others have reserved is not free any more: their share is not counted twice. */
    room = minus((uint64_t)disk.f_bavail * disk.f_frsize, ROOM_SPARE_BYTES) + freed;
    if (quota > 0) {
        if (!measure(store, &used, error))
            return false;
        room = MIN(room, minus(quota, minus(used, freed) + missing));
    }
    *out_room = room;
    return true;
}
