// SPDX-License-Identifier: Apache-2.0
/* The fields that name an image's deltas. */
#include "index/index.h"

#include "base/digest.h"

#include <string.h>

#define BASE_SUFFIX "_base"
#define SIZE_SUFFIX "_size"

bool
index_delta_parse(const IndexEntry *entry, const IndexField *field, IndexDelta *out_delta)
{
    g_autofree char *number = NULL, *key = NULL, *size_key = NULL;
    const char *size;

    if (field->subkey != NULL || !g_str_has_prefix(field->key, INDEX_DELTA) ||
        !g_str_has_suffix(field->key, BASE_SUFFIX) || !digest_is_hex(DIGEST_SHA512, field->value))
        return false;
    key = g_strndup(field->key, strlen(field->key) - strlen(BASE_SUFFIX));
    size_key = g_strconcat(key, SIZE_SUFFIX, NULL);
    size = index_entry_extension(entry, size_key);
    *out_delta = (IndexDelta){.base_sha512 = field->value, .file = index_entry_extension(entry, key)};
    return out_delta->file != NULL && size != NULL &&
           g_ascii_string_to_unsigned(key + strlen(INDEX_DELTA), 10, 1, G_MAXUINT64, &out_delta->revision,
                                      NULL) &&
           g_ascii_string_to_unsigned(size, 10, 1, G_MAXINT64, &out_delta->size, NULL);
}

void
index_delta_set(IndexEntry *entry, const IndexDelta *delta)
{
    g_autofree char *key = g_strdup_printf(INDEX_DELTA "%" G_GUINT64_FORMAT, delta->revision);
    g_autofree char *base_key = g_strconcat(key, BASE_SUFFIX, NULL);
    g_autofree char *size_key = g_strconcat(key, SIZE_SUFFIX, NULL);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, delta->size);

    index_entry_set_extension(entry, key, delta->file);
    index_entry_set_extension(entry, size_key, size);
    index_entry_set_extension(entry, base_key, delta->base_sha512);
}
