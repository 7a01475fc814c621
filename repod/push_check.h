// SPDX-License-Identifier: Apache-2.0
/* Whether pushed texts may become a repository's next version; private to repod/. */
#pragma once

#include "index/index.h"
#include "repod/config.h"
#include "sign/sign.h"
#include "store/store.h"

/** PushIndex: what is known of good texts. */
typedef struct {
    char *repo_id;
    char *fingerprint; /* of the primary key that signed */
    uint64_t version;
    StoreNotes notes; /* the repository's present ones */
} PushIndex;
void push_index_clear(PushIndex *index);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PushIndex, push_index_clear)

/**
 * push_check: both signatures by a key that may sign, the same text under both, the repository's own id, a higher version, not
 * expired, and every file that it names in the store.
 * @out_index: as far as it got; the caller clears it
 * Errors: BASE_ERROR_EXISTS where the version is not higher than the present one
 */
bool push_check(const ConfigSite *site, Store *store, const StoreText *texts, size_t n_texts,
                PushIndex *out_index, GError **error);

/** push_check_files: whether every file that @index names is in the store, with the size that it states. */
bool push_check_files(Store *store, const Index *index, GError **error);
