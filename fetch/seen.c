// SPDX-License-Identifier: Apache-2.0
/* One small file per repository and key below path_state()/seen. */
#include "fetch/seen.h"

#include "base/file.h"
#include "base/paths.h"

#include <string.h>

#define MAX_RECORD 64u /* a number and a newline */

/* Both parts have been checked to be hex digits and dashes. */
static char *
record_path(const Index *index, const char *fingerprint)
{
    g_autofree char *state = path_state();
    g_autofree char *leaf =
        g_strdup_printf("%s.%s", index->repo_id, fingerprint == NULL ? "unsigned" : fingerprint);

    return g_build_filename(state, "seen", leaf, NULL);
}

bool
seen_highest(const Index *index, const char *fingerprint, uint64_t *out_version, GError **error)
{
    g_autofree char *path = NULL, *text = NULL;
    g_autoptr(GBytes) record = NULL;
    g_autoptr(GError) problem = NULL;
    uint64_t version;

    *out_version = 0;
    if (index->repo_id == NULL)
        return true;
    path = record_path(index, fingerprint);
    record = file_read(path, MAX_RECORD, &problem);
    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (record == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    text = g_strndup(g_bytes_get_data(record, NULL), g_bytes_get_size(record));
    if (!g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, INT64_MAX, &version, NULL))
        return error_set(error, "%s: not a version number", path);
    *out_version = version;
    return true;
}

bool
seen_record(const Index *index, const char *fingerprint, GError **error)
{
    g_autofree char *path = NULL, *folder = NULL, *lock_path = NULL, *text = NULL;
    g_auto(Fd) lock = -1;
    uint64_t highest;

    if (index->repo_id == NULL || !seen_highest(index, fingerprint, &highest, error))
        return index->repo_id == NULL;
    if (index->version <= highest)
        return true;
    path = record_path(index, fingerprint);
    folder = g_path_get_dirname(path);
    lock_path = g_build_filename(folder, "lock", NULL);
    if (!file_make_dirs(folder, 0755, error))
        return false;
    lock = file_lock(lock_path, true, error);
    /* Again, now that nobody else writes: two runs must not replace a higher number by a lower one. */
    if (lock < 0 || !seen_highest(index, fingerprint, &highest, error))
        return false;
    text = g_strdup_printf("%" G_GUINT64_FORMAT "\n", index->version);
    return index->version <= highest || file_write_atomic(path, text, strlen(text), 0644, error);
}
