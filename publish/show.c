// SPDX-License-Identifier: Apache-2.0
/* What the verbs of this folder share. */
#include "publish/show.h"

#include "base/cli.h"

#include <stdio.h>

bool
show_lock(PublishRepo *repo, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (store_lock(repo->store, false, &local))
        return true;
    if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_EXISTS)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    cli_note("%s; waiting for it", local->message);
    return store_lock(repo->store, true, error);
}

bool
show_check_valid_days(int days, GError **error)
{
    if (days < 1 || days > (int)PUBLISH_MAX_VALID_DAYS)
        return error_set_code(error, BASE_ERROR_USAGE, "--valid-days: a number from 1 to %u is expected",
                              PUBLISH_MAX_VALID_DAYS);
    return true;
}

void
show_repo_json(const Json *json)
{
    g_autofree char *text = json_print(json);

    fputs(text, stdout);
}

Json *
show_index_json(const PublishRepo *repo, const Index *index)
{
    Json *json = json_new_object();

    json_set_text(json, "repository", store_location(repo->store));
    json_set_text(json, "repo_id", repo->repo_id);
    json_set_number(json, "version", (int64_t)index->version);
    json_set_number(json, "created", index->created);
    json_set_number(json, "expires", index->expires);
    return json;
}
