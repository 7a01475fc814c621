// SPDX-License-Identifier: Apache-2.0
/*
 * A source of simplestreams: several files, each signed by itself. They are kept together as the one text of a Texts:
 * per file a line "PATH SIZE ETAG", then its bytes.
 */
#pragma once

#include "fetch/door.h"

/**
 * streams_fetch: the index and the files of products that it names, from the server; the index is verified before
 * anything that it says is asked for.
 * @known: (nullable) what is here already: what has not changed since is not transferred again
 * Errors: as net_get(); BASE_ERROR_UNTRUSTED
 */
bool streams_fetch(const Source *source, const Texts *known, Texts *out_texts, DoorIndex *out_opened,
                   GError **error);

/** streams_open: as door_open(): each file is verified against the source's pins before it is parsed. */
bool streams_open(const Source *source, const Texts *texts, DoorIndex *out_opened, GError **error);
