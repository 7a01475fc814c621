// SPDX-License-Identifier: Apache-2.0
/* From index entries to files: names, digests, sizes. Everything here is the word of whoever signed the index. */
#include "mirror/wants.h"

#include "store/store.h"

#include <string.h>

#define HEX_IN_BLOB (strlen("blobs/sha512/ab/"))
#define SLACK(size)                                                                                          \
    ((size) / 8 + (64u << 20)) /* what a file may have beyond the image's size, as in a pull */

void
mirror_file_free(MirrorFile *file)
{
    if (file == NULL)
        return;
    g_free(file->key);
    g_free(file->file);
    g_free(file->image);
    g_ptr_array_unref(file->names);
    g_free(file->digest);
    g_free(file->sha512);
    g_clear_error(&file->error);
    g_free(file);
}

char *
mirror_name(const char *file)
{
    /* The name is part of a URL: web servers decode it, and clients take '?' and '#' for the end of it. */
    g_autofree char *decoded = strpbrk(file, "?#") == NULL ? g_uri_unescape_string(file, NULL) : NULL;
    g_auto(GStrv) parts = decoded != NULL ? g_strsplit(decoded, "/", -1) : NULL;
    g_autoptr(GString) name = g_string_new(NULL);

    for (char **part = parts; part != NULL && *part != NULL; part++) {
        if (**part == '\0') /* absolute, or a folder */
            return NULL;
        if (strcmp(*part, ".") != 0)
            g_string_append_printf(name, "%s%s", name->len > 0 ? "/" : "", *part);
    }
    return store_is_link_name(name->str) ? g_string_free(g_steal_pointer(&name), FALSE) : NULL;
}

/* put: the file with that key, new or known already. Takes nothing. */
static MirrorFile *
put(GPtrArray *files, GHashTable *by_key, const char *key, const char *path, const char *image)
{
    MirrorFile *file = g_hash_table_lookup(by_key, key);

    if (file != NULL)
        return file;
    file = g_new0(MirrorFile, 1);
    file->key = g_strdup(key);
    file->file = g_strdup(path);
    file->image = g_strdup(image);
    file->names = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(files, file);
    g_hash_table_insert(by_key, file->key, file);
    return file;
}

static bool
add_name(MirrorFile *file, const char *image, const char *path, GHashTable *by_name, GError **error)
{
    g_autofree char *name = mirror_name(path);
    const MirrorFile *other = name != NULL ? g_hash_table_lookup(by_name, name) : NULL;

    if (name == NULL) {
        g_autofree char *safe = g_strescape(path, NULL);

        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: its file \"%s\" is no name that a mirror's folder can hold", image, safe);
    }
    if (other == file)
        return true;
    if (other != NULL)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: its file '%s' is another one for %s", image,
                              name, other->image);
    g_hash_table_insert(by_name, name, file);
    g_ptr_array_add(file->names, g_steal_pointer(&name));
    return true;
}

char *
mirror_image_key(const IndexEntry *entry)
{
    if (entry->sha512 != NULL)
        return g_ascii_strdown(entry->sha512, -1);
    if (entry->sha256 != NULL) {
        g_autofree char *hex = g_ascii_strdown(entry->sha256, -1);

        return g_strconcat("sha256:", hex, NULL);
    }
    return NULL;
}

static bool
add_image(const IndexEntry *entry, const char *key, bool with_names, GPtrArray *files, GHashTable *by_key,
          GHashTable *by_name, GError **error)
{
    MirrorFile *file = put(files, by_key, key, entry->file, entry->name);

    file->kind = entry->sha512 != NULL ? DIGEST_SHA512 : DIGEST_SHA256;
    if (file->digest == NULL)
        file->digest = g_ascii_strdown(entry->sha512 != NULL ? entry->sha512 : entry->sha256, -1);
    if (file->size != 0 && entry->compressed_size != 0 && file->size != entry->compressed_size)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: its file has another size for %s",
                              entry->name, file->image);
    file->size = entry->compressed_size != 0 ? entry->compressed_size : file->size;
    file->max_size = entry->size > 0 ? entry->size + SLACK(entry->size) : MIRROR_MAX_UNSTATED;
    if (store_is_blob(entry->file))
        return g_strcmp0(entry->file + HEX_IN_BLOB, key) == 0 ||
               error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: its file's name is not its digest",
                              entry->name);
    return !with_names || add_name(file, entry->name, entry->file, by_name, error);
}

static bool
add_signature(const IndexEntry *entry, const char *key, GPtrArray *files, GHashTable *by_key,
              GHashTable *by_name, GError **error)
{
    g_autofree char *own_key = g_strdup_printf("sig:%s:%s", entry->sig, key);
    MirrorFile *file = put(files, by_key, own_key, entry->sig, entry->name);

    file->kind = DIGEST_SHA512;
    file->max_size = MIRROR_MAX_SIGNATURE;
    return add_name(file, entry->name, entry->sig, by_name, error);
}

/* stated_size: of the blob in @field: "KEY_size" beside "KEY". 0: nobody says. */
static uint64_t
stated_size(const IndexEntry *entry, const IndexField *field)
{
    g_autofree char *key = g_strconcat(field->key, "_size", NULL);
    const char *text = field->subkey == NULL ? index_entry_extension(entry, key) : NULL;
    guint64 size;

    return text != NULL && g_ascii_string_to_unsigned(text, 10, 1, MIRROR_MAX_UNSTATED, &size, NULL) ? size
                                                                                                     : 0;
}

static void
add_extra(const IndexEntry *entry, const IndexField *field, GPtrArray *files, GHashTable *by_key)
{
    MirrorFile *file = put(files, by_key, field->value + HEX_IN_BLOB, field->value, entry->name);

    file->kind = DIGEST_SHA512;
    if (file->digest == NULL)
        file->digest = g_strdup(field->value + HEX_IN_BLOB);
    if (file->size == 0)
        file->size = stated_size(entry, field);
    file->max_size = MAX(file->max_size, MIRROR_MAX_EXTRA);
}

bool
mirror_wants(const IndexEntry *entry, bool with_names, GPtrArray *files, GHashTable *by_key,
             GHashTable *by_name, GError **error)
{
    g_autofree char *key = mirror_image_key(entry);

    if (key == NULL)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the index states no checksum, so its file cannot be verified",
                              entry->name);
    if (!add_image(entry, key, with_names, files, by_key, by_name, error) ||
        (with_names && entry->sig != NULL && !add_signature(entry, key, files, by_key, by_name, error)))
        return false;
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);

        if (store_is_blob(field->value))
            add_extra(entry, field, files, by_key);
    }
    return true;
}
