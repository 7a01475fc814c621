// SPDX-License-Identifier: Apache-2.0
/* The notes of linked clones, and everything that is found from there. */
#include "fetch/uses.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/paths.h"
#include "fetch/uses_look.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NOTE 8192u /* one path */

/* ---- the notes: two lines, the disk and what its folder is ---- */

static char *
notes_folder(const char *id)
{
    g_autofree char *cache = path_cache();

    return g_build_filename(cache, "uses", id, NULL);
}

bool
uses_note(const char *id, const char *path, GError **error)
{
    g_autofree char *folder = notes_folder(id), *leaf = digest_bytes(DIGEST_SHA256, path, strlen(path));
    g_autofree char *note = g_build_filename(folder, leaf, NULL), *beside = g_path_get_dirname(path);
    g_autofree char *identity = uses_folder_identity(beside), *text = NULL;

    if (identity == NULL)
        return error_set_errno(error, "%s", beside);
    text = g_strdup_printf("%s\n%s\n", path, identity);
    return file_make_dirs(folder, 0755, error) && file_write_atomic(note, text, strlen(text), 0644, error);
}

void
uses_sweep(const char *id)
{
    g_autofree char *folder = notes_folder(id);

    file_remove_tree(folder, NULL);
}

static void
look_into_note(Uses *uses, const char *id, const char *note)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = file_read(note, MAX_NOTE, &problem);
    g_autofree char *text = NULL, *folder = NULL, *remedy = g_strconcat("remove ", note, NULL);
    g_auto(GStrv) lines = NULL;

    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return;
    if (bytes == NULL) {
        uses_add_doubt(uses, id,
                       "%s; it names a linked clone: make it readable, or, if that is gone for good, %s",
                       problem->message, remedy);
        return;
    }
    text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    lines = g_strsplit(text, "\n", 3);
    if (lines[0] == NULL || !g_path_is_absolute(lines[0])) {
        uses_add_doubt(uses, id, "%s: names no disk; if no linked clone of the image is left, %s", note,
                       remedy);
        return;
    }
    uses_look_into_named(
        uses, &(NamedDisk){lines[0], id, lines[1] != NULL && *lines[1] != '\0' ? lines[1] : NULL, remedy});
    folder = g_path_get_dirname(lines[0]);
    uses_look_into_folder(uses, folder, 0); /* it may have got another name */
}

static void
look_into_notes(Uses *uses)
{
    g_autofree char *notes = notes_folder("");
    g_auto(GStrv) ids = uses_list(uses, notes, true, NULL);

    for (char **id = ids; id != NULL && *id != NULL; id++) {
        g_autofree char *folder = notes_folder(*id);
        g_auto(GStrv) names = uses_list(uses, folder, true, *id);

        for (char **leaf = names; leaf != NULL && *leaf != NULL; leaf++) {
            g_autofree char *note = g_build_filename(folder, *leaf, NULL);

            if (**leaf != '.')
                look_into_note(uses, *id, note);
        }
    }
}

/* ---- all of it ---- */

Uses *
uses_find(void)
{
    Uses *uses = g_new0(Uses, 1);
    g_autofree char *disks = path_disks();

    uses->users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    uses->visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    uses->doubts = g_ptr_array_new_with_free_func(g_free);
    uses->doubted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    look_into_notes(uses);
    uses_look_into_folder(uses, disks, USES_LEVELS);
    uses_look_at_libvirt(uses);
    return uses;
}

void
uses_free(Uses *uses)
{
    if (uses == NULL)
        return;
    g_hash_table_unref(uses->users);
    g_hash_table_unref(uses->visited);
    g_hash_table_unref(uses->doubted);
    g_ptr_array_unref(uses->doubts);
    g_free(uses);
}

const GPtrArray *
uses_of(const Uses *uses, const char *path)
{
    g_autofree char *key = NULL;
    struct stat status;

    if (stat(path, &status) < 0)
        return NULL;
    key = uses_key(&status);
    return g_hash_table_lookup(uses->users, key);
}

const char *
uses_doubt(const Uses *uses, const char *id)
{
    const char *doubt = g_hash_table_lookup(uses->doubted, id);

    return doubt != NULL ? doubt : g_hash_table_lookup(uses->doubted, "");
}

bool
uses_is_open(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
