// SPDX-License-Identifier: Apache-2.0
/* The model into canonical index text: virt-builder's own field order, in the grammar that every version
 * reads. */
#include "index/grammar.h"
#include "index/index.h"

#include <string.h>

/*
 * KEY[SUBKEY]=VALUE, further lines of the value behind one blank. The trailing blanks that are dropped are
 * not covered by a cleartext signature; an empty line inside a value keeps its one blank, or old parsers
 * would end the field there.
 */
static void
print_field(GString *out, const char *key, const char *subkey, const char *value)
{
    g_autofree char *copy = NULL;
    g_auto(GStrv) lines = NULL;
    size_t length;

    if (value == NULL)
        return;
    for (length = strlen(value); length > 0 && strchr(" \t\r\n", value[length - 1]) != NULL;)
        length--;
    copy = g_strndup(value, length);
    lines = g_strsplit(copy, "\n", -1);
    g_string_append(out, key);
    if (subkey != NULL)
        g_string_append_printf(out, "[%s]", subkey);
    g_string_append_c(out, '=');
    if (lines[0] != NULL)
        g_string_append(out, lines[0] + strspn(lines[0], " \t\r"));
    for (size_t i = 0; lines[0] != NULL && lines[i] != NULL; i++) {
        if (i > 0) {
            g_string_append(out, "\n ");
            g_string_append(out, lines[i]);
        }
        while (out->len > 0 && strchr(" \t\r", out->str[out->len - 1]) != NULL)
            g_string_truncate(out, out->len - 1);
        if (i > 0 && out->str[out->len - 1] == '\n')
            g_string_append_c(out, ' ');
    }
    g_string_append_c(out, '\n');
}

static void
print_number(GString *out, const char *key, uint64_t number)
{
    g_string_append_printf(out, "%s=%" G_GUINT64_FORMAT "\n", key, number);
}

/* Whether set_field() of parse.c would take the field for one of virt-builder's. */
static bool
is_known(const IndexField *field)
{
    static const char *const KNOWN[] = {"name",     "osinfo",   "arch",     "file",    "sig",
                                        "format",   "expand",   "lvexpand", "size",    "compressed_size",
                                        "revision", "checksum", "hidden",   "aliases", NULL};

    if (strcmp(field->key, "notes") == 0)
        return true;
    if (field->subkey == NULL)
        return g_strv_contains(KNOWN, field->key);
    return strcmp(field->key, "checksum") == 0 &&
           (strcmp(field->subkey, "sha512") == 0 || strcmp(field->subkey, "sha256") == 0);
}

static bool
print_notes(GString *out, const IndexEntry *entry, GError **error)
{
    for (guint i = 0; i < entry->notes->len; i++) {
        const IndexNote *note = g_ptr_array_index(entry->notes, i);

        if (*note->language == '\0')
            print_field(out, "notes", NULL, note->text);
        else if (index_grammar_is_subkey(note->language))
            print_field(out, "notes", note->language, note->text);
        else
            return error_set(error, "entry '%s': the index cannot carry notes in language '%s'", entry->name,
                             note->language);
    }
    return true;
}

static bool
print_extensions(GString *out, const IndexEntry *entry, GError **error)
{
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);

        if (!index_grammar_is_key(field->key) || is_known(field) ||
            (field->subkey != NULL && !index_grammar_is_subkey(field->subkey)))
            return error_set(error, "entry '%s': the index cannot carry the extension field '%s'",
                             entry->name, field->key);
        print_field(out, field->key, field->subkey, field->value);
    }
    return true;
}

static bool
print_entry(GString *out, const IndexEntry *entry, GError **error)
{
    g_autofree char *aliases = entry->aliases == NULL ? NULL : g_strjoinv(" ", entry->aliases);

    if (!index_entry_validate(entry, error))
        return false;
    g_string_append_printf(out, "[%s]\n", entry->name);
    print_field(out, "name", NULL, entry->title);
    print_field(out, "osinfo", NULL, entry->osinfo);
    print_field(out, "file", NULL, entry->file);
    print_field(out, "arch", NULL, entry->arch);
    print_field(out, "sig", NULL, entry->sig);
    print_field(out, "checksum", "sha512", entry->sha512);
    print_field(out, "checksum", "sha256", entry->sha256);
    print_number(out, "revision", entry->revision);
    print_field(out, "format", NULL, entry->format);
    print_number(out, "size", entry->size);
    if (entry->compressed_size > 0)
        print_number(out, "compressed_size", entry->compressed_size);
    print_field(out, "expand", NULL, entry->expand);
    print_field(out, "lvexpand", NULL, entry->lvexpand);
    if (!print_notes(out, entry, error))
        return false;
    print_field(out, "aliases", NULL, aliases);
    if (entry->is_hidden)
        g_string_append(out, "hidden=true\n");
    if (!print_extensions(out, entry, error))
        return false;
    g_string_append_c(out, '\n');
    return true;
}

static void
print_time(GString *out, const char *key, int64_t time)
{
    g_autoptr(GDateTime) utc = time > 0 ? g_date_time_new_from_unix_utc(time) : NULL;
    g_autofree char *text = utc == NULL ? NULL : g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ");

    if (text != NULL)
        g_string_append_printf(out, "# %s: %s\n", key, text);
}

char *
index_print(const Index *index, GError **error)
{
    g_autoptr(GString) out = g_string_new("# virt-depot: 1\n");

    if (index->entries->len > INDEX_MAX_PRINT_ENTRIES) {
        error_set(error, "the index has %u entries, and virt-builder cannot read more than %u",
                  index->entries->len, INDEX_MAX_PRINT_ENTRIES);
        return NULL;
    }
    if (index->repo_id != NULL)
        g_string_append_printf(out, "# repo-id: %s\n", index->repo_id);
    if (index->version > 0)
        g_string_append_printf(out, "# version: %" G_GUINT64_FORMAT "\n", index->version);
    print_time(out, "created", index->created);
    print_time(out, "expires", index->expires);
    g_string_append_c(out, '\n');
    for (guint i = 0; i < index->entries->len; i++)
        if (!print_entry(out, g_ptr_array_index(index->entries, i), error))
            return NULL;
    return g_string_free(g_steal_pointer(&out), FALSE);
}
