// SPDX-License-Identifier: Apache-2.0
/* The fields that name an image's deltas, and those between its earlier revisions. */
#include "index/index.h"

#include "base/digest.h"

#include <string.h>

#define BASE_SUFFIX "_base"
#define SIZE_SUFFIX "_size"
#define TO_SUFFIX "_to"

static const char *
lookup(const IndexEntry *entry, const char *key, const char *suffix)
{
    g_autofree char *whole = g_strconcat(key, suffix, NULL);

    return index_entry_extension(entry, whole);
}

static bool
parse(const IndexEntry *entry, const IndexField *field, const char *prefix, char **out_key,
      IndexDelta *out_delta)
{
    g_autofree char *key = NULL;
    const char *size;

    if (field->subkey != NULL || !g_str_has_prefix(field->key, prefix) ||
        !g_str_has_suffix(field->key, BASE_SUFFIX) || !digest_is_hex(DIGEST_SHA512, field->value))
        return false;
    key = g_strndup(field->key, strlen(field->key) - strlen(BASE_SUFFIX));
    size = lookup(entry, key, SIZE_SUFFIX);
    *out_delta = (IndexDelta){
        .base_sha512 = field->value, .to_sha512 = entry->sha512, .file = index_entry_extension(entry, key)};
    if (strlen(key) <= strlen(prefix) || out_delta->file == NULL || size == NULL ||
        !g_ascii_string_to_unsigned(key + strlen(prefix), 10, 1, G_MAXUINT64, &out_delta->revision, NULL) ||
        !g_ascii_string_to_unsigned(size, 10, 1, G_MAXINT64, &out_delta->size, NULL))
        return false;
    *out_key = g_steal_pointer(&key);
    return true;
}

bool
index_delta_parse(const IndexEntry *entry, const IndexField *field, IndexDelta *out_delta)
{
    g_autofree char *key = NULL;

    return parse(entry, field, INDEX_DELTA, &key, out_delta);
}

bool
index_step_parse(const IndexEntry *entry, const IndexField *field, IndexDelta *out_delta)
{
    g_autofree char *key = NULL;

    if (!parse(entry, field, INDEX_STEP, &key, out_delta))
        return false;
    out_delta->to_sha512 = lookup(entry, key, TO_SUFFIX);
    return out_delta->to_sha512 != NULL && digest_is_hex(DIGEST_SHA512, out_delta->to_sha512);
}

static void
set(IndexEntry *entry, const char *key, const char *suffix, const char *value)
{
    g_autofree char *whole = g_strconcat(key, suffix, NULL);

    index_entry_set_extension(entry, whole, value);
}

static void
set_fields(IndexEntry *entry, const char *key, const IndexDelta *delta)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, delta->size);

    set(entry, key, "", delta->file);
    set(entry, key, SIZE_SUFFIX, size);
    set(entry, key, BASE_SUFFIX, delta->base_sha512);
}

void
index_delta_set(IndexEntry *entry, const IndexDelta *delta)
{
    g_autofree char *key = g_strdup_printf(INDEX_DELTA "%" G_GUINT64_FORMAT, delta->revision);

    set_fields(entry, key, delta);
}

void
index_step_set(IndexEntry *entry, const IndexDelta *delta)
{
    g_autofree char *key = g_strdup_printf(INDEX_STEP "%" G_GUINT64_FORMAT, delta->revision);

    set_fields(entry, key, delta);
    set(entry, key, TO_SUFFIX, delta->to_sha512);
}
