// SPDX-License-Identifier: Apache-2.0
/* Sources as key files: reading, storing, listing. What they serve is for catalogue.c. */
#include "fetch/source.h"

#include "base/file.h"
#include "base/paths.h"
#include "fetch/cache.h"
#include "fetch/trust_state.h"
#include "net/net.h"
#include "sign/sign.h"

#include <string.h>

#define GROUP "source"
#define MAX_CONF_BYTES (64u << 10) /* a handful of lines */
#define MAX_NAME 64u
#define NAME_CHARACTERS "-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"

Source *
source_new(const char *name, const char *uri)
{
    Source *source = g_new0(Source, 1);

    source->name = g_strdup(name);
    source->uri = g_strdup(uri);
    source->pins = g_new0(char *, 1);
    source->roots = g_new0(char *, 1);
    return source;
}

void
source_free(Source *source)
{
    if (source == NULL)
        return;
    g_free(source->name);
    g_free(source->uri);
    g_free(source->repo_id);
    g_strfreev(source->pins);
    g_strfreev(source->roots);
    g_clear_pointer(&source->keys, g_bytes_unref);
    g_free(source);
}

bool
source_is_name(const char *name)
{
    return file_is_name(name) && *name != '-' && strlen(name) <= MAX_NAME &&
           name[strspn(name, NAME_CHARACTERS)] == '\0';
}

char *
source_normal_uri(const char *text, GError **error)
{
    g_autofree char *absolute =
        strstr(text, "://") == NULL && *text != '\0' ? g_canonicalize_filename(text, NULL) : g_strdup(text);
    size_t length;

    if (!net_url_check(absolute, error))
        return NULL;
    if (strpbrk(absolute, "?#") != NULL) {
        error_set_code(error, BASE_ERROR_USAGE, "'%s': the URL of a repository has no '?' or '#'", text);
        return NULL;
    }
    if (g_str_has_suffix(absolute, ".asc"))
        return g_steal_pointer(&absolute);
    if (g_str_has_suffix(absolute, "/index"))
        return g_strconcat(absolute, ".asc", NULL);
    for (length = strlen(absolute); length > 0 && absolute[length - 1] == '/';)
        absolute[--length] = '\0';
    return g_strconcat(absolute, "/index.asc", NULL);
}

static char *
source_path(const char *name, const char *suffix)
{
    g_autofree char *config = path_config();
    g_autofree char *leaf = g_strconcat(name, suffix, NULL);

    return g_build_filename(config, "sources.d", leaf, NULL);
}

/* The boolean @key, false where it is absent. */
static bool
read_flag(GKeyFile *file, const char *key, bool *out_flag, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, key, NULL);

    *out_flag = false;
    if (text == NULL || strcmp(text, "no") == 0 || strcmp(text, "false") == 0)
        return true;
    *out_flag = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    return *out_flag || error_set_code(error, BASE_ERROR_USAGE, "'%s' is neither yes nor no", key);
}

/* The fingerprints in the list @key, normalised; none where it is absent. */
static bool
read_fingerprints(GKeyFile *file, const char *key, char ***out_list, GError **error)
{
    g_auto(GStrv) texts = g_key_file_get_string_list(file, GROUP, key, NULL, NULL);
    guint n = texts == NULL ? 0 : g_strv_length(texts);
    g_auto(GStrv) list = g_new0(char *, n + 1);

    for (guint i = 0; i < n; i++)
        if ((list[i] = sign_normal_fingerprint(texts[i], error)) == NULL)
            return false;
    g_strfreev(*out_list);
    *out_list = g_steal_pointer(&list);
    return true;
}

static bool
read_threshold(GKeyFile *file, Source *source, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, "threshold", NULL);
    guint n = g_strv_length(source->roots);
    guint64 threshold = MIN(n, 1);

    if (text != NULL && (n == 0 || !g_ascii_string_to_unsigned(text, 10, 1, n, &threshold, NULL)))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'threshold' is not a number from 1 to that of 'roots'");
    source->threshold = (unsigned)threshold;
    return true;
}

static bool
read_pins(GKeyFile *file, Source *source, GError **error)
{
    g_autofree char *keys = source_path(source->name, ".asc");

    if (!read_fingerprints(file, "fingerprints", &source->pins, error) ||
        !read_fingerprints(file, "roots", &source->roots, error) || !read_threshold(file, source, error))
        return false;
    if (*source->pins == NULL && *source->roots == NULL) /* never taken for "unsigned": that has to be said */
        return error_set_code(error, BASE_ERROR_USAGE, "neither 'fingerprints', 'roots' nor 'unsigned=yes'");
    source->keys = file_read(keys, SIGN_MAX_KEYS, error);
    return source->keys != NULL;
}

static bool
read_fields(GKeyFile *file, Source *source, GError **error)
{
    source->uri = g_key_file_get_string(file, GROUP, "uri", error);
    if (source->uri == NULL || !net_url_check(source->uri, error) ||
        !read_flag(file, "unsigned", &source->is_unsigned, error))
        return false;
    source->repo_id = g_key_file_get_string(file, GROUP, "repo-id", NULL);
    return source->is_unsigned || read_pins(file, source, error);
}

Source *
source_read(const char *name, GError **error)
{
    g_autoptr(Source) source = source_new(name, NULL);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *path = NULL;
    g_autoptr(GBytes) text = NULL;
    g_autoptr(GError) problem = NULL;

    if (!source_is_name(name)) {
        error_set_code(error, BASE_ERROR_USAGE, "'%s': not a name of a source", name);
        return NULL;
    }
    path = source_path(name, ".conf");
    text = file_read(path, MAX_CONF_BYTES, &problem);
    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND)) {
        error_set_code(error, BASE_ERROR_NOT_FOUND, "there is no source '%s'", name);
        return NULL;
    }
    if (text == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (!g_key_file_load_from_bytes(file, text, G_KEY_FILE_NONE, error) ||
        !read_fields(file, source, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return g_steal_pointer(&source);
}

static void
write_list(GKeyFile *file, const char *key, char *const *list)
{
    if (*list != NULL)
        g_key_file_set_string_list(file, GROUP, key, (const char *const *)list, g_strv_length((char **)list));
}

bool
source_write(const Source *source, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *conf = source_path(source->name, ".conf"), *keys = source_path(source->name, ".asc");
    g_autofree char *folder = g_path_get_dirname(conf), *text = NULL;
    gsize size;

    g_key_file_set_string(file, GROUP, "uri", source->uri);
    if (source->is_unsigned)
        g_key_file_set_string(file, GROUP, "unsigned", "yes");
    write_list(file, "fingerprints", source->pins);
    write_list(file, "roots", source->roots);
    if (source->threshold > 0)
        g_key_file_set_integer(file, GROUP, "threshold", (gint)source->threshold);
    if (source->repo_id != NULL)
        g_key_file_set_string(file, GROUP, "repo-id", source->repo_id);
    text = g_key_file_to_data(file, &size, NULL);
    if (!file_make_dirs(folder, 0755, error))
        return false;
    if (source->keys != NULL) {
        gsize key_size;
        const void *key_data = g_bytes_get_data(source->keys, &key_size);

        if (!file_write_atomic(keys, key_data, key_size, 0644, error))
            return false;
    }
    return file_write_atomic(conf, text, size, 0644, error);
}

bool
source_remove(const char *name, GError **error)
{
    g_autofree char *conf = NULL, *keys = NULL, *cached = NULL;

    if (!source_is_name(name))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not a name of a source", name);
    conf = source_path(name, ".conf");
    keys = source_path(name, ".asc");
    cached = cache_index_folder(name);
    if (!g_file_test(conf, G_FILE_TEST_EXISTS))
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "there is no source '%s'", name);
    return file_remove(conf, error) && file_remove(keys, error) && file_remove_tree(cached, error) &&
           trust_state_forget(name, error);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *
source_read_all(GPtrArray *warnings)
{
    g_autofree char *config = path_config();
    g_autofree char *folder = g_build_filename(config, "sources.d", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL); /* not there: no sources */
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *sources = g_ptr_array_new_with_free_func((GDestroyNotify)source_free);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *name = g_str_has_suffix(leaf, ".conf") ? g_strndup(leaf, strlen(leaf) - 5) : NULL;

        if (name != NULL && source_is_name(name)) /* leaves out what file_write_atomic() left behind, too */
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        g_autoptr(GError) error = NULL;
        Source *source = source_read(g_ptr_array_index(names, i), &error);

        if (source != NULL)
            g_ptr_array_add(sources, source);
        else
            g_ptr_array_add(warnings, g_strdup(error->message));
    }
    return sources;
}
