// SPDX-License-Identifier: Apache-2.0
/* Whether a repository is what clients expect: links, signatures, the index, and every file that it names. */
#pragma once

#include "base/finding.h"
#include "publish/repo.h"

typedef struct {
    bool fix;      /* remove what nothing needs and mend links; the store's lock must be held */
    bool is_quick; /* sizes only: no file is read whole */
    unsigned threads;
} PublishCheckOptions;

typedef struct {
    GPtrArray *findings; /* (element-type Finding) what is wrong, and what --fix could mend */
    GPtrArray *fixed;    /* (element-type utf8) what was mended */
    bool is_trusted;     /* whether the signatures hold */
    guint n_images, n_files;
} PublishCheck;
void publish_check_clear(PublishCheck *check);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishCheck, publish_check_clear)

/**
 * publish_check: look at everything; that something is wrong is no error but a finding.
 * @repo: from publish_repo_open_reader()
 * Errors: the repository cannot be read at all; _INTERRUPTED
 */
bool publish_check(PublishRepo *repo, const PublishCheckOptions *options, PublishCheck *out_check,
                   GError **error);
