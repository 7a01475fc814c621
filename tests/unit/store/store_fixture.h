// SPDX-License-Identifier: Apache-2.0
/* A folder of its own for each test, and small texts to publish. */
#pragma once

#include "base/file.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static inline int
store_set_up(void **state)
{
    char *dir = g_strdup("/tmp/vdstore-XXXXXX");

    *state = dir;
    return g_mkdtemp(dir) != NULL ? 0 : -1;
}

static inline int
store_tear_down(void **state)
{
    bool is_ok = file_remove_tree(*state, NULL);

    g_free(*state);
    return is_ok ? 0 : -1;
}

static inline bool
exists(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static inline void
write_file(const char *dir, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* publish_text: a generation whose "index" and "index.sig" are both @text. */
static inline bool
publish_text(Store *store, uint64_t version, const char *text, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
    const StoreText texts[] = {{"index", bytes}, {"index.sig", bytes}};

    return store_publish(store, version, texts, G_N_ELEMENTS(texts), error);
}

/* count_unfinished: how many names in @dir are temporary. */
static inline unsigned
count_unfinished(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;
    unsigned n = 0;

    while ((name = g_dir_read_name(entries)) != NULL)
        n += g_str_has_prefix(name, ".tmp-");
    return n;
}
