// SPDX-License-Identifier: Apache-2.0
/* The catalogue in memory: entries, notes, extension fields, looking an image up, and what a valid entry is.
 */
#include "index/index.h"

#include <string.h>

static void
note_free(gpointer data)
{
    IndexNote *note = data;

    g_free(note->language);
    g_free(note->text);
    g_free(note);
}

static void
field_free(gpointer data)
{
    IndexField *field = data;

    g_free(field->key);
    g_free(field->subkey);
    g_free(field->value);
    g_free(field);
}

static gpointer
note_copy(gconstpointer source, gpointer unused G_GNUC_UNUSED)
{
    const IndexNote *note = source;
    IndexNote *copy = g_new0(IndexNote, 1);

    copy->language = g_strdup(note->language);
    copy->text = g_strdup(note->text);
    return copy;
}

static gpointer
field_copy(gconstpointer source, gpointer unused G_GNUC_UNUSED)
{
    const IndexField *field = source;
    IndexField *copy = g_new0(IndexField, 1);

    copy->key = g_strdup(field->key);
    copy->subkey = g_strdup(field->subkey);
    copy->value = g_strdup(field->value);
    return copy;
}

/* g_ptr_array_copy() would lose the free function. */
static GPtrArray *
copy_array(const GPtrArray *source, GCopyFunc copy, GDestroyNotify free_func)
{
    GPtrArray *array = g_ptr_array_new_with_free_func(free_func);

    for (guint i = 0; i < source->len; i++)
        g_ptr_array_add(array, copy(g_ptr_array_index(source, i), NULL));
    return array;
}

IndexEntry *
index_entry_new(void)
{
    IndexEntry *entry = g_new0(IndexEntry, 1);

    entry->revision = 1;
    entry->notes = g_ptr_array_new_with_free_func(note_free);
    entry->extensions = g_ptr_array_new_with_free_func(field_free);
    return entry;
}

void
index_entry_free(IndexEntry *entry)
{
    if (entry == NULL)
        return;
    g_free(entry->name);
    g_free(entry->title);
    g_free(entry->osinfo);
    g_free(entry->arch);
    g_free(entry->file);
    g_free(entry->sig);
    g_free(entry->sha512);
    g_free(entry->sha256);
    g_free(entry->format);
    g_free(entry->expand);
    g_free(entry->lvexpand);
    g_ptr_array_unref(entry->notes);
    g_strfreev(entry->aliases);
    g_ptr_array_unref(entry->extensions);
    g_free(entry);
}

IndexEntry *
index_entry_copy(const IndexEntry *entry)
{
    IndexEntry *copy = g_new0(IndexEntry, 1);

    *copy = *entry;
    copy->name = g_strdup(entry->name);
    copy->title = g_strdup(entry->title);
    copy->osinfo = g_strdup(entry->osinfo);
    copy->arch = g_strdup(entry->arch);
    copy->file = g_strdup(entry->file);
    copy->sig = g_strdup(entry->sig);
    copy->sha512 = g_strdup(entry->sha512);
    copy->sha256 = g_strdup(entry->sha256);
    copy->format = g_strdup(entry->format);
    copy->expand = g_strdup(entry->expand);
    copy->lvexpand = g_strdup(entry->lvexpand);
    copy->notes = copy_array(entry->notes, note_copy, note_free);
    copy->aliases = g_strdupv(entry->aliases);
    copy->extensions = copy_array(entry->extensions, field_copy, field_free);
    return copy;
}

Index *
index_new(void)
{
    Index *index = g_new0(Index, 1);

    index->entries = g_ptr_array_new_with_free_func((GDestroyNotify)index_entry_free);
    return index;
}

void
index_free(Index *index)
{
    if (index == NULL)
        return;
    g_free(index->repo_id);
    g_ptr_array_unref(index->entries);
    g_free(index);
}

void
index_problem_free(IndexProblem *problem)
{
    if (problem == NULL)
        return;
    g_free(problem->message);
    g_free(problem);
}

static bool
has_alias(const IndexEntry *entry, const char *name)
{
    return entry->aliases != NULL && g_strv_contains((const char *const *)entry->aliases, name);
}

const IndexEntry *
index_lookup(const Index *index, const char *name, const char *arch)
{
    const IndexEntry *by_name = NULL, *by_alias = NULL;
    const char *wanted = index_normal_arch(arch);

    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (strcmp(index_normal_arch(entry->arch), wanted) != 0)
            continue;
        if (strcmp(entry->name, name) == 0 && (by_name == NULL || entry->revision > by_name->revision))
            by_name = entry;
        if (has_alias(entry, name) && (by_alias == NULL || entry->revision > by_alias->revision))
            by_alias = entry;
    }
    return by_name != NULL ? by_name : by_alias;
}

static IndexField *
find_extension(const IndexEntry *entry, const char *key, guint *out_position)
{
    for (guint i = 0; i < entry->extensions->len; i++) {
        IndexField *field = g_ptr_array_index(entry->extensions, i);

        if (field->subkey == NULL && strcmp(field->key, key) == 0) {
            *out_position = i;
            return field;
        }
    }
    return NULL;
}

const char *
index_entry_extension(const IndexEntry *entry, const char *key)
{
    guint position;
    const IndexField *field = find_extension(entry, key, &position);

    return field == NULL ? NULL : field->value;
}

void
index_entry_set_extension(IndexEntry *entry, const char *key, const char *value)
{
    guint position;
    IndexField *field = find_extension(entry, key, &position);

    if (field == NULL && value != NULL) {
        field = g_new0(IndexField, 1);
        field->key = g_strdup(key);
        field->value = g_strdup(value);
        g_ptr_array_add(entry->extensions, field);
    } else if (field != NULL && value != NULL) {
        g_free(field->value);
        field->value = g_strdup(value);
    } else if (field != NULL) {
        g_ptr_array_remove_index(entry->extensions, position);
    }
}

static const char *
note_in(const IndexEntry *entry, const char *language)
{
    for (guint i = 0; i < entry->notes->len; i++) {
        const IndexNote *note = g_ptr_array_index(entry->notes, i);

        if (strcmp(note->language, language) == 0)
            return note->text;
    }
    return NULL;
}

const char *
index_entry_note(const IndexEntry *entry, const char *const *languages)
{
    const char *text = NULL;

    for (; text == NULL && *languages != NULL; languages++)
        text = note_in(entry, *languages);
    if (text == NULL)
        text = note_in(entry, "");
    if (text == NULL && entry->notes->len > 0)
        text = ((const IndexNote *)g_ptr_array_index(entry->notes, 0))->text;
    return text;
}

const char *
index_normal_arch(const char *arch)
{
    static const struct {
        const char *from, *to;
    } SPELLINGS[] = {
        {"i486", "i386"},     {"i586", "i386"},   {"i686", "i386"},       {"amd64", "x86_64"},
        {"arm64", "aarch64"}, {"powerpc", "ppc"}, {"powerpc64", "ppc64"}, {"powerpc64le", "ppc64le"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(SPELLINGS); i++)
        if (strcmp(arch, SPELLINGS[i].from) == 0)
            return SPELLINGS[i].to;
    return arch;
}
