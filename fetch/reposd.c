// SPDX-License-Identifier: Apache-2.0
/* Finding and reading virt-builder's repos.d; what the files mean is for index_conf_parse(). */
#include "fetch/reposd.h"

#include "base/file.h"
#include "fetch/keyfile.h"
#include "index/index.h"
#include "net/net.h"
#include "sign/sign.h"

#include <string.h>

typedef struct {
    const char *only;
    GPtrArray *sources;
    GPtrArray *warnings;
    GHashTable *leaves; /* file names that were read */
    GHashTable *ids;    /* sources that were met */
} Reader;

static void warn(Reader *reader, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
warn(Reader *reader, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(reader->warnings, g_strdup_vprintf(format, args));
    va_end(args);
}

char **
reposd_folders(void)
{
    const char *listed = g_getenv("VIRT_BUILDER_DIRS"), *home = g_getenv("VIRT_DEPOT_HOME");
    bool is_alone = home != NULL && *home != '\0';
    g_autoptr(GPtrArray) folders = g_ptr_array_new();
    g_auto(GStrv) dirs = NULL;

    if (g_strcmp0(g_getenv("VIRT_DEPOT_REPOS_D"), "no") != 0) {
        if (!is_alone)
            g_ptr_array_add(folders,
                            g_build_filename(g_get_user_config_dir(), "virt-builder", "repos.d", NULL));
        if (listed == NULL)
            listed = is_alone ? "" : "/etc";
        dirs = g_strsplit(listed, ":", -1);
    }
    for (char **dir = dirs; dir != NULL && *dir != NULL; dir++)
        if (**dir == '/')
            g_ptr_array_add(folders, g_build_filename(*dir, "virt-builder", "repos.d", NULL));
    g_ptr_array_add(folders, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&folders), FALSE);
}

/* The path in "file:///path" or "/path"; NULL for what would have to be downloaded. */
static char *
key_path(const char *gpgkey)
{
    if (*gpgkey == '/')
        return g_strdup(gpgkey);
    return g_str_has_prefix(gpgkey, "file:///") ? g_filename_from_uri(gpgkey, NULL, NULL) : NULL;
}

static bool
set_place(Source *source, const IndexConf *conf, GError **error)
{
    if (conf->format != NULL && !source_format_parse(conf->format, &source->format, error))
        return false;
    if (source->format == SOURCE_STREAMS) {
        source->uri = source_normal_uri(conf->uri, SOURCE_STREAMS, error);
        if (source->uri == NULL)
            return false;
    } else {
        source->uri = g_strdup(conf->uri); /* as it is: of whatever name, the index itself */
        if (!net_url_check(source->uri, error))
            return false;
    }
    if (conf->proxy != NULL && strcmp(conf->proxy, "system") != 0)
        source->proxy = g_strdup(strcmp(conf->proxy, "off") == 0 ? "no" : conf->proxy);
    return source_check_access(source, error);
}

static bool
set_keys(Source *source, const IndexConf *conf, GError **error)
{
    g_autofree char *path = conf->gpgkey == NULL ? NULL : key_path(conf->gpgkey);
    char **pins;

    if (conf->gpgkey == NULL)
        return error_set(
            error,
            "virt-builder takes it without any signature; to do so here, too: virt-depot source add "
            "--unsigned %s %s",
            conf->id, conf->uri);
    if (path == NULL)
        return error_set(
            error,
            "its key %s would have to be downloaded, which would prove nothing (and virt-builder goes "
            "without signatures then); download and check it, and add the source with virt-depot source "
            "add --key",
            conf->gpgkey);
    source->keys = file_read(path, SIGN_MAX_KEYS, error);
    pins = source->keys == NULL ? NULL : keyfile_pins(source->keys, path, error);
    if (pins == NULL)
        return false;
    g_strfreev(source->pins);
    source->pins = pins;
    return true;
}

static void
add_source(Reader *reader, const char *path, const IndexConf *conf)
{
    g_autoptr(Source) source = source_new(conf->id, NULL);
    g_autoptr(GError) error = NULL;

    if (!g_hash_table_add(reader->ids, g_strdup(conf->id)) ||
        (reader->only != NULL && strcmp(reader->only, conf->id) != 0))
        return;
    source->file = g_strdup(path);
    source->is_fallback = true;
    source->priority = SOURCE_FALLBACK_PRIORITY;
    if (!source_is_name(conf->id))
        warn(reader, "%s:%u: '%s' cannot be the name of a source here, so it is left out", path, conf->line,
             conf->id);
    else if (!set_place(source, conf, &error) || !set_keys(source, conf, &error))
        warn(reader, "%s:%u: virt-builder's source '%s' is left out: %s", path, conf->line, conf->id,
             error->message);
    else
        g_ptr_array_add(reader->sources, g_steal_pointer(&source));
}

static void
read_file(Reader *reader, const char *folder, const char *leaf)
{
    g_autofree char *path = g_build_filename(folder, leaf, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) problems = NULL, confs = NULL;
    g_autoptr(GBytes) text = NULL;

    if (g_hash_table_contains(reader->leaves, leaf))
        return;
    text = file_read(path, INDEX_MAX_CONF_BYTES, &error);
    confs = text == NULL ? NULL : index_conf_parse(text, path, &problems, &error);
    if (confs == NULL) {
        warn(reader, "%s", error->message);
        return;
    }
    g_hash_table_add(reader->leaves, g_strdup(leaf));
    if (problems->len > 0 && reader->only == NULL) {
        const IndexProblem *first = g_ptr_array_index(problems, 0);

        warn(reader, "%s:%u: %s", path, first->line, first->message);
    }
    for (guint i = 0; i < confs->len; i++)
        add_source(reader, path, g_ptr_array_index(confs, i));
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *
reposd_read(const char *only, GPtrArray *warnings)
{
    g_auto(GStrv) folders = reposd_folders();
    g_autoptr(GHashTable) leaves = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Reader reader = {.only = only, .warnings = warnings, .leaves = leaves, .ids = ids};

    reader.sources = g_ptr_array_new_with_free_func((GDestroyNotify)source_free);
    for (char **folder = folders; *folder != NULL; folder++) {
        g_autoptr(GDir) dir = g_dir_open(*folder, 0, NULL);
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

        for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;)
            if (g_str_has_suffix(leaf, ".conf") && *leaf != '.')
                g_ptr_array_add(names, g_strdup(leaf));
        g_ptr_array_sort(names, compare_names);
        for (guint i = 0; i < names->len; i++)
            read_file(&reader, *folder, g_ptr_array_index(names, i));
    }
    return reader.sources;
}
