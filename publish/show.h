// SPDX-License-Identifier: Apache-2.0
/* What the verbs of this folder share: waiting for another publisher, common options, output. For verb files
 * only. */
#pragma once

#include "base/json.h"
#include "publish/repo.h"

/** show_lock: store_lock(), saying so on stderr where another publisher has to be waited for. */
bool show_lock(PublishRepo *repo, GError **error);

/** show_check_valid_days: of --valid-days: 1 to PUBLISH_MAX_VALID_DAYS. */
bool show_check_valid_days(int days, GError **error);

/** show_repo_json: print @json on stdout. */
void show_repo_json(const Json *json);

/** show_index_json: (transfer full) the repository, and the version, creation and expiry of @index. */
Json *show_index_json(const PublishRepo *repo, const Index *index);
