// SPDX-License-Identifier: Apache-2.0
/* The signed texts of a generation as one message, so that a push is one request. Pure; the parser is fuzzed. */
#include "store/store.h"

#include <string.h>

#define FIRST_LINE "virt-depot-texts 1\n"
#define MAX_LINE 32 /* "index.asc 100663296\n" has 20 */
#define N_NEEDED 4

static const char *const NAMES[STORE_MAX_TEXTS] = {"index",    "index.asc", "index.sig",
                                                   "keys.asc", "trust",     "trust.sig"};

GBytes *
store_texts_print(const StoreText *texts, size_t n_texts)
{
    GByteArray *message = g_byte_array_new();

    g_byte_array_append(message, (const guint8 *)FIRST_LINE, strlen(FIRST_LINE));
    for (size_t i = 0; i < n_texts; i++) {
        gsize size;
        const guint8 *data = g_bytes_get_data(texts[i].content, &size);
        g_autofree char *line = g_strdup_printf("%s %zu\n", texts[i].name, (size_t)size);

        g_byte_array_append(message, (const guint8 *)line, (guint)strlen(line));
        g_byte_array_append(message, data, (guint)size);
        g_byte_array_append(message, (const guint8 *)"\n", 1);
    }
    return g_byte_array_free_to_bytes(message);
}

/* parse_line: the line "NAME SIZE" at @at, with digits as they are printed. Its length, or 0. */
static size_t
parse_line(const char *at, size_t left, const char *name, size_t *out_size)
{
    const char *end = memchr(at, '\n', MIN(left, MAX_LINE));
    g_autofree char *line = end != NULL ? g_strndup(at, (gsize)(end - at)) : NULL;
    const size_t length = strlen(name);
    guint64 size;

    /* A NUL would end the number, but not the line. */
    if (line == NULL || strlen(line) != (size_t)(end - at) || strncmp(line, name, length) != 0 ||
        line[length] != ' ' || !g_ascii_isdigit(line[length + 1]) ||
        (line[length + 1] == '0' && line[length + 2] != '\0') ||
        !g_ascii_string_to_unsigned(line + length + 1, 10, 0, STORE_MAX_PUSH, &size, NULL))
        return 0;
    *out_size = (size_t)size;
    return (size_t)(end - at) + 1;
}

bool
store_texts_parse(GBytes *message, StoreText out_texts[STORE_MAX_TEXTS], size_t *out_n_texts, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(message, &size);
    size_t at = strlen(FIRST_LINE), n = 0;

    if (size < at || memcmp(data, FIRST_LINE, at) != 0)
        return error_set(error, "does not begin with 'virt-depot-texts 1'");
    for (; n < STORE_MAX_TEXTS && at < size; n++) {
        size_t length, line = parse_line(data + at, size - at, NAMES[n], &length);

        if (line == 0)
            return error_set(error, "at byte %zu: '%s' and its size are expected", at, NAMES[n]);
        at += line;
        if (length >= size - at || data[at + length] != '\n')
            return error_set(error, "at byte %zu: '%s' does not have the %zu bytes that it states", at,
                             NAMES[n], length);
        store_text_clear(&out_texts[n]);
        out_texts[n] = (StoreText){NAMES[n], g_bytes_new_from_bytes(message, at, length)};
        at += length + 1;
    }
    if (at < size)
        return error_set(error, "at byte %zu: nothing more is expected", at);
    if (n != N_NEEDED && n != STORE_MAX_TEXTS)
        return error_set(error, "'%s' is missing", NAMES[n]);
    *out_n_texts = n;
    return true;
}
