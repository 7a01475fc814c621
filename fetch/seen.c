// SPDX-License-Identifier: Apache-2.0
/* One small file per repository and pin below path_state()/seen: "VERSION DIGEST". */
#include "fetch/seen.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/paths.h"

#include <string.h>

#define MAX_RECORD 256u /* a number, a SHA-512 and a newline */
#define UNSIGNED "unsigned"

typedef struct {
    uint64_t version; /* 0: nothing is recorded */
    char *digest;     /* (nullable) */
} Record;

static void
record_clear(Record *record)
{
    g_clear_pointer(&record->digest, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Record, record_clear)

/* Both parts have been checked to be hex digits and dashes. */
static char *
record_path(const Index *index, const char *pin)
{
    g_autofree char *state = path_state();
    g_autofree char *leaf = g_strdup_printf("%s.%s", index->repo_id, pin);

    return g_build_filename(state, "seen", leaf, NULL);
}

static bool
record_read(const char *path, Record *out_record, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) problem = NULL;

    *out_record = (Record){0};
    bytes = file_read(path, MAX_RECORD, &problem);
    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    fields = g_strsplit(g_strstrip(text), " ", 2);
    if (fields[0] == NULL || fields[1] == NULL || !digest_is_hex(DIGEST_SHA512, fields[1]) ||
        !g_ascii_string_to_unsigned(fields[0], 10, 0, INT64_MAX, &out_record->version, NULL))
        return error_set(error, "%s: not a version and a digest", path);
    out_record->digest = g_strdup(fields[1]);
    return true;
}

bool
seen_judge(const DoorIndex *opened, const char *const *pins, SeenVerdict *out_verdict, uint64_t *out_highest,
           GError **error)
{
    static const char *const NONE[] = {UNSIGNED, NULL};
    const Index *index = opened->index;
    bool is_same = false, is_other = false;

    *out_verdict = SEEN_NEW;
    *out_highest = 0;
    if (index->repo_id == NULL)
        return true;
    for (const char *const *pin = *pins != NULL ? pins : NONE; *pin != NULL; pin++) {
        g_autofree char *path = record_path(index, *pin);
        g_auto(Record) record = {0};

        if (!record_read(path, &record, error))
            return false;
        *out_highest = MAX(*out_highest, record.version);
        if (record.version == 0 || record.version != index->version)
            continue;
        is_same = is_same || strcmp(record.digest, opened->digest) == 0;
        is_other = is_other || strcmp(record.digest, opened->digest) != 0;
    }
    if (index->version < *out_highest)
        *out_verdict = SEEN_OLDER;
    else if (is_other)
        *out_verdict = SEEN_OTHER;
    else if (is_same)
        *out_verdict = SEEN_SAME;
    return true;
}

bool
seen_record(const DoorIndex *opened, GError **error)
{
    const Index *index = opened->index;
    g_autofree char *path = NULL, *folder = NULL, *lock_path = NULL, *text = NULL;
    g_auto(Fd) lock = -1;
    g_auto(Record) record = {0};

    if (index->repo_id == NULL)
        return true;
    path = record_path(index, opened->pin != NULL ? opened->pin : UNSIGNED);
    folder = g_path_get_dirname(path);
    lock_path = g_build_filename(folder, "lock", NULL);
    if (!file_make_dirs(folder, 0755, error))
        return false;
    /* Two runs must not replace a higher number by a lower one. */
    lock = file_lock(lock_path, true, error);
    if (lock < 0 || !record_read(path, &record, error))
        return false;
    text = g_strdup_printf("%" G_GUINT64_FORMAT " %s\n", index->version, opened->digest);
    return index->version <= record.version || file_write_atomic(path, text, strlen(text), 0644, error);
}
