// SPDX-License-Identifier: Apache-2.0
/*
 * simplestreams: JSON trees of products, versions and items into entries. What Ubuntu, cirros, incus and LXD serve
 * differs in names alone: which item is the disk, and what a product is called.
 */
#include "base/json.h"
#include "index/grammar.h"
#include "index/index.h"
#include "index/validate.h"
#include "index/version.h"

#include <string.h>

#define MAX_ALIASES 32u

/* Item names (or their ftype) that are a whole disk, the most generic first. */
static const char *const DISKS[] = {"disk1.img",     "disk.img",  "disk-kvm.img", "disk.qcow2",
                                    "disk-uefi.img", "uefi1.img", "uefi.img"};

typedef struct {
    const char *id;
    const Json *product, *version, *item;
    const char *version_name;
    unsigned rank; /* of the item in DISKS */
} Choice;

static Json *
parse(GBytes *text, const char *source, const char *format, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(text, &size);
    g_autoptr(Json) json = NULL;

    if (size > INDEX_MAX_STREAMS_BYTES) {
        error_set(error, "%s: larger than %u bytes", source, INDEX_MAX_STREAMS_BYTES);
        return NULL;
    }
    json = json_parse(data, size, source, error);
    if (json != NULL && g_strcmp0(json_get_text(json, "format"), format) != 0) {
        error_set(error, "%s: its format is not '%s'", source, format);
        return NULL;
    }
    return g_steal_pointer(&json);
}

static bool
is_image_list(const Json *entry)
{
    const char *datatype = json_get_text(entry, "datatype");

    return g_strcmp0(json_get_text(entry, "format"), "products:1.0") == 0 &&
           (datatype == NULL || strcmp(datatype, "image-downloads") == 0);
}

char **
index_streams_paths(GBytes *text, const char *source, GError **error)
{
    g_autoptr(Json) json = parse(text, source, "index:1.0", error);
    const Json *list = json == NULL ? NULL : json_get(json, "index");
    g_autofree const char **keys = json_keys(list);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

    if (json == NULL)
        return NULL;
    for (const char **key = keys; *key != NULL; key++) {
        const Json *entry = json_get(list, *key);
        const char *path = json_get_text(entry, "path");

        if (!is_image_list(entry))
            continue;
        if (path == NULL || !index_path_check("path", path, error)) {
            if (path == NULL)
                error_set(error, "no path");
            g_prefix_error(error, "%s: '%s': ", source, *key);
            return NULL;
        }
        if (paths->len == INDEX_MAX_STREAMS_FILES) {
            error_set(error, "%s: more than %u files of products", source, INDEX_MAX_STREAMS_FILES);
            return NULL;
        }
        g_ptr_array_add(paths, g_strdup(path));
    }
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&paths), FALSE);
}

/* A disk in @items that is better than what @choice has, or no change. */
static void
look_at_items(Choice *choice, const Json *version, const char *version_name)
{
    const Json *items = json_get(version, "items");
    g_autofree const char **keys = json_keys(items);
    Choice best = {.rank = G_N_ELEMENTS(DISKS)};

    for (const char **key = keys; *key != NULL; key++) {
        const Json *item = json_get(items, *key);
        const char *ftype = json_get_text(item, "ftype");

        for (unsigned rank = 0; rank < best.rank; rank++)
            if (strcmp(*key, DISKS[rank]) == 0 || g_strcmp0(ftype, DISKS[rank]) == 0)
                best = (Choice){.item = item, .rank = rank};
    }
    if (best.item == NULL)
        return;
    if (choice->version == NULL || index_version_compare(version_name, choice->version_name) > 0) {
        choice->version = version;
        choice->version_name = version_name;
        choice->item = best.item;
        choice->rank = best.rank;
    }
}

/* What the item, the version or the product say of @key: the closest counts. */
static const char *
get_text(const Choice *choice, const char *key)
{
    const char *text = json_get_text(choice->item, key);

    if (text == NULL)
        text = json_get_text(choice->version, key);
    return text != NULL ? text : json_get_text(choice->product, key);
}

/* @text with every byte that no name has as '-', and none of them at its start; NULL where nothing is left. */
static char *
clean(const char *text)
{
    g_autofree char *name = NULL;

    while (*text != '\0' && !g_ascii_isalnum(*text))
        text++;
    name = g_ascii_strdown(text, (gssize)MIN(strlen(text), INDEX_MAX_NAME / 4));
    for (char *p = name; *p != '\0'; p++)
        if (!g_ascii_isalnum(*p) && strchr("-._", *p) == NULL)
            *p = '-';
    return *name == '\0' ? NULL : g_steal_pointer(&name);
}

/* The product's id without its architecture: "net.cirros-cloud:standard:0.3:x86_64". */
static char *
name_by_id(const Choice *choice, const char *arch)
{
    g_auto(GStrv) parts = g_strsplit(choice->id, ":", -1);
    g_autoptr(GString) name = g_string_new(NULL);

    for (char **part = parts; *part != NULL; part++) {
        g_autofree char *safe = strcmp(*part, arch) == 0 ? NULL : clean(*part);

        if (safe != NULL)
            g_string_append_printf(name, "%s%s", name->len > 0 ? "-" : "", safe);
    }
    return name->len == 0 ? NULL : g_string_free(g_steal_pointer(&name), FALSE);
}

/* OS-RELEASE, and the variant unless that is the default one. */
static char *
name_by_release(const Choice *choice, const char *release_key)
{
    const char *texts[] = {get_text(choice, "os"), get_text(choice, release_key),
                           get_text(choice, "variant")};
    g_autofree char *os = texts[0] == NULL ? NULL : clean(texts[0]);
    g_autofree char *release = texts[1] == NULL ? NULL : clean(texts[1]);
    g_autofree char *variant = texts[2] == NULL || strcmp(texts[2], "default") == 0 ? NULL : clean(texts[2]);

    if (os == NULL || release == NULL)
        return NULL;
    return g_strjoin("-", os, release, variant, NULL);
}

static void
add_alias(GPtrArray *aliases, const IndexEntry *entry, const char *text)
{
    g_autofree char *alias = text == NULL ? NULL : clean(text);

    if (alias == NULL || !index_is_name(alias) || strcmp(alias, entry->name) == 0 ||
        aliases->len == MAX_ALIASES || g_ptr_array_find_with_equal_func(aliases, alias, g_str_equal, NULL))
        return;
    g_ptr_array_add(aliases, g_steal_pointer(&alias));
}

static void
set_aliases(IndexEntry *entry, const Choice *choice)
{
    g_autoptr(GPtrArray) aliases = g_ptr_array_new_with_free_func(g_free);
    const char *listed = get_text(choice, "aliases");
    g_auto(GStrv) words = listed == NULL ? NULL : g_strsplit(listed, ",", (gint)MAX_ALIASES + 1);
    g_autofree char *by_version = name_by_release(choice, "version");

    add_alias(aliases, entry, get_text(choice, "pubname"));
    add_alias(aliases, entry, by_version);
    for (char **word = words; word != NULL && *word != NULL; word++)
        add_alias(aliases, entry, g_strstrip(*word));
    if (aliases->len == 0)
        return;
    g_ptr_array_add(aliases, NULL);
    entry->aliases = (char **)g_ptr_array_free(g_steal_pointer(&aliases), FALSE);
}

/* get_digest: (transfer full) (nullable) as the model has them: in lower case. Whether it is one is checked with the entry. */
static char *
get_digest(const Choice *choice, const char *key)
{
    const char *digest = json_get_text(choice->item, key);

    return digest != NULL ? g_ascii_strdown(digest, -1) : NULL;
}

static IndexEntry *
make_entry(const Choice *choice, GError **error)
{
    g_autoptr(IndexEntry) entry = index_entry_new();
    const char *arch = get_text(choice, "arch"), *title = get_text(choice, "release_title");
    int64_t size = json_get_number(choice->item, "size", 0);

    if (arch == NULL) {
        error_set(error, "no arch");
        return NULL;
    }
    entry->arch = g_strdup(index_normal_arch(arch));
    entry->name = name_by_release(choice, "release");
    if (entry->name == NULL)
        entry->name = name_by_id(choice, arch);
    entry->title = title != NULL && get_text(choice, "os") != NULL
                       ? g_strdup_printf("%s %s", get_text(choice, "os"), title)
                       : g_strdup(get_text(choice, "pubname"));
    entry->file = g_strdup(json_get_text(choice->item, "path"));
    entry->sha512 = get_digest(choice, "sha512");
    entry->sha256 = get_digest(choice, "sha256");
    entry->revision = index_version_revision(choice->version_name);
    entry->compressed_size = size > 0 ? (uint64_t)size : 0;
    if (!index_entry_check(entry, error))
        return NULL;
    set_aliases(entry, choice);
    index_entry_set_extension(entry, "x_product", choice->id);
    index_entry_set_extension(entry, "x_version", choice->version_name);
    return g_steal_pointer(&entry);
}

static char *
identity(const IndexEntry *entry)
{
    return g_strdup_printf("%s %s", entry->name, entry->arch);
}

/* Two products of one os and release, such as Ubuntu's server and minimal: the second goes by its id. */
static bool
make_unique(IndexEntry *entry, const Choice *choice, GHashTable *seen, GError **error)
{
    g_autofree char *first = identity(entry), *second = NULL;

    if (g_hash_table_add(seen, g_steal_pointer(&first)))
        return true;
    g_free(entry->name);
    entry->name = name_by_id(choice, get_text(choice, "arch"));
    if (!index_entry_check(entry, error))
        return false;
    second = identity(entry);
    return g_hash_table_add(seen, g_steal_pointer(&second)) ||
           error_set(error, "another product has its name '%s'", entry->name);
}

static void
add_product(Index *index, const char *id, const Json *product, GHashTable *seen, GPtrArray *problems)
{
    const Json *versions = json_get(product, "versions");
    g_autofree const char **keys = json_keys(versions);
    Choice choice = {.id = id, .product = product};
    g_autoptr(IndexEntry) entry = NULL;
    g_autoptr(GError) error = NULL;

    for (const char **key = keys; *key != NULL; key++)
        look_at_items(&choice, json_get(versions, *key), *key);
    if (choice.version == NULL)
        return;
    entry = make_entry(&choice, &error);
    if (entry != NULL && make_unique(entry, &choice, seen, &error)) {
        g_ptr_array_add(index->entries, g_steal_pointer(&entry));
    } else if (problems->len < INDEX_MAX_PROBLEMS) {
        IndexProblem *problem = g_new0(IndexProblem, 1);

        problem->message = g_strdup_printf("product '%s': %s", id, error->message);
        g_ptr_array_add(problems, problem);
    }
}

bool
index_streams_add(GBytes *text, const char *source, Index *index, GPtrArray *problems, GError **error)
{
    g_autoptr(Json) json = parse(text, source, "products:1.0", error);
    const Json *products = json == NULL ? NULL : json_get(json, "products");
    g_autofree const char **ids = json_keys(products);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (json == NULL)
        return false;
    for (guint i = 0; i < index->entries->len; i++)
        g_hash_table_add(seen, identity(g_ptr_array_index(index->entries, i)));
    for (guint i = 0; ids[i] != NULL; i++) {
        if (i == INDEX_MAX_STREAMS_PRODUCTS)
            return error_set(error, "%s: more than %u products", source, INDEX_MAX_STREAMS_PRODUCTS);
        add_product(index, ids[i], json_get(products, ids[i]), seen, problems);
    }
    return true;
}
