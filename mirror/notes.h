// SPDX-License-Identifier: Apache-2.0
/* What a mirror remembers of its last complete run, in the repository's private folder. Losing it costs requests only. */
#pragma once

#include "fetch/fetch.h"
#include "store/store.h"

typedef struct {
    char *source;                   /* the name of the source that it is a copy of */
    char *digest;                   /* (nullable) of the index that was mirrored completely */
    uint64_t version;               /* that it has here: a killed run may have switched to another since */
    int64_t expires;                /* of its signature; 0: never */
    FetchText texts[FETCH_N_TEXTS]; /* names and etags to ask with; no content */
    size_t n_texts;
    GHashTable *known; /* MirrorFile.key -> SHA-512, of what has another key than that */
    GHashTable *
        gone; /* name -> since when (unix seconds as text) the index has it no more, while it is still shown */
} MirrorNotes;
void mirror_notes_clear(MirrorNotes *notes);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MirrorNotes, mirror_notes_clear)

/** mirror_notes_read: of @store; *out_is_there is false where there are none, and then they are empty. */
bool mirror_notes_read(Store *store, MirrorNotes *out_notes, bool *out_is_there, GError **error);

/** mirror_notes_write: the lock must be held. */
bool mirror_notes_write(Store *store, const MirrorNotes *notes, GError **error);

/** mirror_notes_set_texts: ask for @texts next time: for the index, and for the keys and the trust where there are any,
 * since a revocation need not change the index. */
void mirror_notes_set_texts(MirrorNotes *notes, const FetchText *texts);
