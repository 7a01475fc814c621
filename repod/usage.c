// SPDX-License-Identifier: Apache-2.0
/* Bytes per token and day: a table, and a file "DAY BYTES" per token. */
#include "repod/usage.h"

#include "base/file.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "usage"
#define SECONDS_PER_DAY (24 * 60 * 60)
#define MAX_FILE 64u

typedef struct {
    int64_t day;
    uint64_t bytes;
} UsageEntry;

struct Usage {
    pthread_mutex_t lock;
    GHashTable *entries; /* id -> UsageEntry; as many as there are tokens */
};

Usage *
usage_new(void)
{
    Usage *usage = g_new0(Usage, 1);

    pthread_mutex_init(&usage->lock, NULL);
    usage->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return usage;
}

void
usage_free(Usage *usage)
{
    if (usage == NULL)
        return;
    pthread_mutex_destroy(&usage->lock);
    g_hash_table_unref(usage->entries);
    g_free(usage);
}

static char *
usage_path(const char *state_dir, const char *id)
{
    return g_build_filename(state_dir, FOLDER, id, NULL);
}

/* read_entry: what the file says; nothing where there is none. */
static UsageEntry
read_entry(const char *state_dir, const char *id)
{
    g_autofree char *path = usage_path(state_dir, id);
    g_autoptr(GBytes) bytes = file_read(path, MAX_FILE, NULL);
    g_autofree char *text =
        bytes != NULL ? g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)) : g_strdup("");
    g_auto(GStrv) words = g_strsplit(g_strstrip(text), " ", 2);
    guint64 day, amount;

    if (g_strv_length(words) != 2 || !g_ascii_string_to_unsigned(words[0], 10, 0, G_MAXINT64, &day, NULL) ||
        !g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXINT64, &amount, NULL))
        return (UsageEntry){0, 0};
    return (UsageEntry){(int64_t)day, amount};
}

/* entry_of: with the lock; of today. */
static UsageEntry *
entry_of(Usage *usage, const char *id, int64_t now, const UsageEntry *if_new)
{
    UsageEntry *entry = g_hash_table_lookup(usage->entries, id);
    const int64_t day = now / SECONDS_PER_DAY;

    if (entry == NULL) {
        entry = g_new(UsageEntry, 1);
        *entry = if_new != NULL ? *if_new : (UsageEntry){day, 0};
        g_hash_table_insert(usage->entries, g_strdup(id), entry);
    }
    if (entry->day != day)
        *entry = (UsageEntry){day, 0};
    return entry;
}

uint64_t
usage_today(Usage *usage, const char *state_dir, const char *id, int64_t now)
{
    UsageEntry saved = {0, 0};
    uint64_t bytes;
    bool is_known;

    pthread_mutex_lock(&usage->lock);
    is_known = g_hash_table_contains(usage->entries, id);
    pthread_mutex_unlock(&usage->lock);
    if (!is_known)
        saved = read_entry(state_dir, id);
    pthread_mutex_lock(&usage->lock);
    bytes = entry_of(usage, id, now, &saved)->bytes;
    pthread_mutex_unlock(&usage->lock);
    return bytes;
}

uint64_t
usage_add(Usage *usage, const char *id, uint64_t bytes, int64_t now)
{
    UsageEntry *entry;
    uint64_t sum;

    pthread_mutex_lock(&usage->lock);
    entry = entry_of(usage, id, now, NULL);
    sum = entry->bytes += bytes;
    pthread_mutex_unlock(&usage->lock);
    return sum;
}

void
usage_save(Usage *usage, const char *state_dir, const char *id, int64_t now)
{
    g_autofree char *path = usage_path(state_dir, id);
    g_autofree char *folder = g_path_get_dirname(path);
    char text[MAX_FILE];
    UsageEntry *entry;

    pthread_mutex_lock(&usage->lock);
    entry = entry_of(usage, id, now, NULL);
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT " %" G_GUINT64_FORMAT "\n", entry->day, entry->bytes);
    pthread_mutex_unlock(&usage->lock);
    if (file_make_dirs(folder, 0700, NULL))
        file_write_atomic(path, text, strlen(text), 0600, NULL);
}
