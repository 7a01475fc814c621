// SPDX-License-Identifier: Apache-2.0
/*
 * Lines into sections and fields: the union of virt-builder's two grammars, and text that neither takes but
 * people write: CRLF, a byte order mark, no final newline. What a field means is for parse.c.
 *
 * A cleartext signature does not cover blanks at line ends, so nobody may depend on them: every line loses
 * its trailing blanks, and an empty line before a continuation line is an empty continuation line.
 */
#include "index/grammar.h"

#include "index/index.h"

#include <string.h>

/* Besides letters and digits. */
#define NAME_MORE "-._"
#define KEY_MORE "_."
#define SUBKEY_MORE "_.,"

typedef struct {
    const GrammarEvents *events;
    void *context;
    unsigned line;
    GrammarSection *section; /* NULL: before the first, or in a refused one */
    bool has_seen_section;
    GrammarField *field; /* what a continuation line continues, or NULL */
    bool is_skipping;    /* a continuation belongs to a line that was refused already */
    unsigned n_blank;    /* empty lines since the last line of the field */
} Reader;

/* How long the run of letters, digits and @more at the start of @text is. strspn() with as many characters is slower
 * than all the rest of reading. */
static size_t
span(const char *text, const char *more)
{
    size_t length = 0;

    while (g_ascii_isalnum(text[length]) || (text[length] != '\0' && strchr(more, text[length]) != NULL))
        length++;
    return length;
}

static bool
is_made_of(const char *text, const char *more)
{
    return *text != '\0' && text[span(text, more)] == '\0';
}

bool
index_grammar_is_name(const char *text)
{
    return is_made_of(text, NAME_MORE);
}

bool
index_grammar_is_key(const char *text)
{
    return is_made_of(text, KEY_MORE);
}

bool
index_grammar_is_subkey(const char *text)
{
    return is_made_of(text, SUBKEY_MORE);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void
field_free(gpointer data)
{
    GrammarField *field = data;

    g_free(field->key);
    g_free(field->subkey);
    g_string_free(field->value, TRUE);
    g_free(field);
}

static void
section_free(GrammarSection *section)
{
    if (section == NULL)
        return;
    g_free(section->name);
    g_ptr_array_unref(section->fields);
    g_free(section);
}

static void
report(Reader *reader, const char *message)
{
    if (reader->events->problem != NULL)
        reader->events->problem(reader->line, message, reader->context);
}

static void
end_section(Reader *reader)
{
    if (reader->section != NULL && reader->events->section != NULL)
        reader->events->section(reader->section, reader->context);
    g_clear_pointer(&reader->section, section_free);
    reader->field = NULL;
}

static void
read_header(Reader *reader, const char *line)
{
    size_t length = span(line + 1, NAME_MORE);

    end_section(reader);
    reader->has_seen_section = true;
    reader->is_skipping = true;
    if (length == 0 || strcmp(line + 1 + length, "]") != 0) {
        report(reader, "bad section header, so the whole section is skipped");
        return;
    }
    reader->is_skipping = false;
    reader->section = g_new0(GrammarSection, 1);
    reader->section->line = reader->line;
    reader->section->name = g_strndup(line + 1, length);
    reader->section->fields = g_ptr_array_new_with_free_func(field_free);
}

/* The key, subkey and value of a line, or NULL where it is no field. */
static GrammarField *
split_field(const char *line, unsigned number)
{
    size_t key = span(line, KEY_MORE), subkey = 0;
    const char *rest = line + key;
    GrammarField *field;

    if (key == 0)
        return NULL;
    if (*rest == '[') {
        subkey = span(rest + 1, SUBKEY_MORE);
        if (subkey == 0 || rest[1 + subkey] != ']')
            return NULL;
        rest += subkey + 2;
    }
    if (*rest != '=')
        return NULL;
    for (rest++; is_blank(*rest);)
        rest++;
    field = g_new0(GrammarField, 1);
    field->line = number;
    field->key = g_strndup(line, key);
    field->subkey = subkey == 0 ? NULL : g_strndup(line + key + 1, subkey);
    field->value = g_string_new(rest);
    return field;
}

static void
read_field(Reader *reader, const char *line)
{
    GrammarField *field;

    reader->field = NULL;
    if (reader->has_seen_section && reader->section == NULL)
        return; /* its header was reported */
    field = split_field(line, reader->line);
    reader->is_skipping = field == NULL || reader->section == NULL;
    if (field == NULL) {
        report(reader, "neither a section, a field nor a comment, so the line is skipped");
    } else if (reader->section == NULL) {
        report(reader, "a field before the first section, so the line is skipped");
        field_free(field);
    } else if (reader->section->fields->len == INDEX_MAX_FIELDS) {
        report(reader, "too many fields, so the whole section is skipped");
        field_free(field);
        g_clear_pointer(&reader->section, section_free);
        reader->is_skipping = true;
    } else {
        g_ptr_array_add(reader->section->fields, field);
        reader->field = field;
    }
}

static void
read_continuation(Reader *reader, const char *line)
{
    if (reader->field != NULL) {
        for (; reader->n_blank > 0; reader->n_blank--)
            g_string_append_c(reader->field->value, '\n');
        g_string_append_c(reader->field->value, '\n');
        g_string_append(reader->field->value, line + 1);
    } else if (!reader->is_skipping) {
        report(reader, "a continuation line without a field to continue, so the line is skipped");
    }
}

static void
read_line(Reader *reader, const char *line)
{
    if (*line == '\0') {
        reader->n_blank++;
    } else if (*line == '#') {
        if (!reader->has_seen_section && reader->events->comment != NULL)
            reader->events->comment(reader->line, line + 1, reader->context);
    } else if (is_blank(*line)) {
        read_continuation(reader, line);
        reader->n_blank = 0;
    } else {
        if (*line == '[')
            read_header(reader, line);
        else
            read_field(reader, line);
        reader->n_blank = 0;
    }
}

void
index_grammar_read(const char *text, size_t size, const GrammarEvents *events, void *context)
{
    Reader reader = {.events = events, .context = context};
    g_autoptr(GString) line = g_string_new(NULL);
    const char *end;

    if (size == 0) /* @text may be NULL then */
        return;
    end = text + size;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;

        reader.line++;
        while (stop > text && is_blank(stop[-1]))
            stop--;
        g_string_truncate(line, 0);
        g_string_append_len(line, text, stop - text);
        read_line(&reader, line->str);
        text = newline != NULL ? newline + 1 : end;
    }
    end_section(&reader);
}
