// SPDX-License-Identifier: Apache-2.0
/* Index text into the model: what each field means, strictly typed, one bad entry at a time. Lines are
 * grammar.c's. */
#include "base/digest.h"
#include "index/grammar.h"
#include "index/header.h"
#include "index/index.h"

#include <string.h>

#define FEW_FIELDS 64u /* more have to be hashed to be compared */

typedef struct {
    Index *index;
    GPtrArray *problems;
    GHashTable *seen;              /* "name arch" of the accepted entries -> header line */
    const GrammarSection *section; /* at hand */
    unsigned headers;              /* header comments seen so far */
    unsigned n_fields;             /* of all entries so far */
    bool is_full;                  /* a limit was passed: nothing more is taken */
} Parser;

static void
report(unsigned line, const char *message, void *context)
{
    Parser *parser = context;
    IndexProblem *problem;

    if (parser->problems->len >= INDEX_MAX_PROBLEMS)
        return;
    problem = g_new0(IndexProblem, 1);
    problem->line = line;
    problem->message = parser->problems->len == INDEX_MAX_PROBLEMS - 1 ? g_strdup("more problems follow")
                                                                       : g_strdup(message);
    g_ptr_array_add(parser->problems, problem);
}

static void
read_comment(unsigned line, const char *text, void *context)
{
    Parser *parser = context;
    const char *complaint = index_header_read(text, parser->index, &parser->headers);

    if (complaint != NULL)
        report(line, complaint, parser);
}

static bool
set_number(uint64_t *number, const GrammarField *field, GError **error)
{
    if (!index_number_parse(field->value->str, number))
        return error_set(error, "field '%s' is not a plain decimal number below 2^63", field->key);
    return true;
}

/* An absent and an empty value mean the same. */
static bool
set_text(char **text, const GrammarField *field)
{
    g_free(*text);
    *text = field->value->len == 0 ? NULL : g_strdup(field->value->str);
    return true;
}

static bool
set_digest(char **digest, DigestKind kind, const GrammarField *field, GError **error)
{
    if (!digest_is_hex(kind, field->value->str))
        return error_set(error, "field '%s' is not a %s digest in hex", field->key,
                         kind == DIGEST_SHA512 ? "SHA-512" : "SHA-256");
    g_free(*digest);
    *digest = g_ascii_strdown(field->value->str, -1);
    return true;
}

static bool
set_hidden(IndexEntry *entry, const GrammarField *field, GError **error)
{
    entry->is_hidden = strcmp(field->value->str, "true") == 0;
    if (!entry->is_hidden && strcmp(field->value->str, "false") != 0)
        return error_set(error, "field 'hidden' is neither true nor false");
    return true;
}

static bool
set_aliases(IndexEntry *entry, const GrammarField *field)
{
    g_auto(GStrv) words = g_strsplit_set(field->value->str, " \t\n", -1);
    GPtrArray *aliases = g_ptr_array_new();

    for (char **word = words; *word != NULL; word++)
        if (**word != '\0')
            g_ptr_array_add(aliases, g_strdup(*word));
    g_ptr_array_add(aliases, NULL);
    if (aliases->len > 1)
        entry->aliases = (char **)g_ptr_array_free(aliases, FALSE);
    else
        g_ptr_array_free(aliases, TRUE);
    return true;
}

static bool
add_note(IndexEntry *entry, const GrammarField *field)
{
    IndexNote *note = g_new0(IndexNote, 1);

    note->language = g_strdup(field->subkey == NULL ? "" : field->subkey);
    note->text = g_strdup(field->value->str);
    g_ptr_array_add(entry->notes, note);
    return true;
}

static bool
add_extension(IndexEntry *entry, const GrammarField *field)
{
    IndexField *extension = g_new0(IndexField, 1);

    extension->key = g_strdup(field->key);
    extension->subkey = g_strdup(field->subkey);
    extension->value = g_strdup(field->value->str);
    g_ptr_array_add(entry->extensions, extension);
    return true;
}

static bool
set_checksum(IndexEntry *entry, const GrammarField *field, bool has_better, GError **error)
{
    if (field->subkey == NULL) /* the old name of checksum[sha512], which wins where both are there */
        return has_better || set_digest(&entry->sha512, DIGEST_SHA512, field, error);
    if (strcmp(field->subkey, "sha512") == 0)
        return set_digest(&entry->sha512, DIGEST_SHA512, field, error);
    if (strcmp(field->subkey, "sha256") == 0)
        return set_digest(&entry->sha256, DIGEST_SHA256, field, error);
    return add_extension(entry, field);
}

static bool
is_same_field(const GrammarField *a, const GrammarField *b)
{
    return strcmp(a->key, b->key) == 0 && g_strcmp0(a->subkey, b->subkey) == 0;
}

/* By comparing each with each: no real section has more fields than that. */
static const GrammarField *
find_repeated_of_few(const GrammarSection *section)
{
    for (guint i = 1; i < section->fields->len; i++)
        for (guint k = 0; k < i; k++)
            if (is_same_field(g_ptr_array_index(section->fields, i), g_ptr_array_index(section->fields, k)))
                return g_ptr_array_index(section->fields, i);
    return NULL;
}

/* NULL or the first field that is there twice. */
static const GrammarField *
find_repeated(const GrammarSection *section)
{
    g_autoptr(GHashTable) seen = NULL;

    if (section->fields->len <= FEW_FIELDS)
        return find_repeated_of_few(section);
    seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < section->fields->len; i++) {
        const GrammarField *field = g_ptr_array_index(section->fields, i);

        if (!g_hash_table_add(
                seen, g_strdup_printf("%s[%s]", field->key, field->subkey == NULL ? "" : field->subkey)))
            return field;
    }
    return NULL;
}

static bool
has_field(const GrammarSection *section, const char *key, const char *subkey)
{
    for (guint i = 0; i < section->fields->len; i++) {
        const GrammarField *field = g_ptr_array_index(section->fields, i);

        if (strcmp(field->key, key) == 0 && g_strcmp0(field->subkey, subkey) == 0)
            return true;
    }
    return false;
}

static bool
set_field(const Parser *parser, IndexEntry *entry, const GrammarField *field, GError **error)
{
    const struct {
        const char *key;
        char **text;
        uint64_t *number;
    } KNOWN[] = {
        {"name", &entry->title, NULL},
        {"osinfo", &entry->osinfo, NULL},
        {"arch", &entry->arch, NULL},
        {"file", &entry->file, NULL},
        {"sig", &entry->sig, NULL},
        {"format", &entry->format, NULL},
        {"expand", &entry->expand, NULL},
        {"lvexpand", &entry->lvexpand, NULL},
        {"revision", NULL, &entry->revision},
        {"size", NULL, &entry->size},
        {"compressed_size", NULL, &entry->compressed_size},
    };

    if (strcmp(field->key, "notes") == 0)
        return add_note(entry, field);
    if (strcmp(field->key, "checksum") == 0)
        return set_checksum(entry, field, has_field(parser->section, "checksum", "sha512"), error);
    if (field->subkey != NULL)
        return add_extension(entry, field);
    for (size_t i = 0; i < G_N_ELEMENTS(KNOWN); i++)
        if (strcmp(field->key, KNOWN[i].key) == 0)
            return KNOWN[i].text != NULL ? set_text(KNOWN[i].text, field)
                                         : set_number(KNOWN[i].number, field, error);
    if (strcmp(field->key, "hidden") == 0)
        return set_hidden(entry, field, error);
    if (strcmp(field->key, "aliases") == 0)
        return set_aliases(entry, field);
    return add_extension(entry, field);
}

static bool
build_entry(Parser *parser, const GrammarSection *section, IndexEntry *entry, unsigned *line, GError **error)
{
    const GrammarField *repeated = find_repeated(section);

    entry->name = g_strdup(section->name);
    entry->line = section->line;
    if (repeated != NULL) {
        *line = repeated->line;
        return error_set(error, "entry '%s': field '%s' appears twice", section->name, repeated->key);
    }
    for (guint i = 0; i < section->fields->len; i++) {
        const GrammarField *field = g_ptr_array_index(section->fields, i);

        if (!set_field(parser, entry, field, error)) {
            *line = field->line;
            g_prefix_error(error, "entry '%s': ", section->name);
            return false;
        }
    }
    if (!index_entry_validate(entry, error))
        return false;
    if (index_normal_arch(entry->arch) != entry->arch) {
        char *arch = g_strdup(index_normal_arch(entry->arch));

        g_free(entry->arch);
        entry->arch = arch;
    }
    return true;
}

static void
read_section(const GrammarSection *section, void *context)
{
    Parser *parser = context;
    g_autoptr(IndexEntry) entry = index_entry_new();
    g_autoptr(GError) error = NULL;
    unsigned line = section->line;
    gpointer first;
    char *identity;

    parser->section = section;
    parser->n_fields += section->fields->len;
    parser->is_full = parser->is_full || parser->index->entries->len == INDEX_MAX_ENTRIES ||
                      parser->n_fields > INDEX_MAX_ALL_FIELDS;
    if (parser->is_full)
        return;
    if (!build_entry(parser, section, entry, &line, &error)) {
        report(line, error->message, parser);
        return;
    }
    identity = g_strdup_printf("%s %s", entry->name, entry->arch);
    if (g_hash_table_lookup_extended(parser->seen, identity, NULL, &first)) {
        g_autofree char *message =
            g_strdup_printf("entry '%s' for %s is in line %u already, so this one is skipped", entry->name,
                            entry->arch, GPOINTER_TO_UINT(first));

        report(line, message, parser);
        g_free(identity);
        return;
    }
    g_hash_table_insert(parser->seen, identity, GUINT_TO_POINTER(section->line));
    g_ptr_array_add(parser->index->entries, g_steal_pointer(&entry));
}

Index *
index_parse(GBytes *text, const char *source, GPtrArray **out_problems, GError **error)
{
    static const GrammarEvents EVENTS = {.comment = read_comment, .section = read_section, .problem = report};
    g_autoptr(Index) index = NULL;
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    gsize size;
    const char *data = g_bytes_get_data(text, &size);
    Parser parser = {.problems = problems, .seen = seen};

    if (size > INDEX_MAX_BYTES) {
        error_set(error, "%s: the index is larger than %u bytes", source, INDEX_MAX_BYTES);
        return NULL;
    }
    if (size > 0 && memchr(data, '\0', size) != NULL) {
        error_set(error, "%s: the index has a NUL byte, so it is no text", source);
        return NULL;
    }
    parser.index = index = index_new();
    index_grammar_read(data, size, &EVENTS, &parser);
    if (parser.is_full) {
        error_set(error, "%s: the index has more than %u entries or %u fields", source, INDEX_MAX_ENTRIES,
                  INDEX_MAX_ALL_FIELDS);
        return NULL;
    }
    if (out_problems != NULL)
        *out_problems = g_steal_pointer(&problems);
    return g_steal_pointer(&index);
}
