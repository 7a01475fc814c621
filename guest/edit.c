// SPDX-License-Identifier: Apache-2.0
/* A small part of Perl's line editing. What it does not understand, it refuses: a guess would change a guest's files wrongly. */
#include "guest/edit.h"

#include <string.h>

#define MAX_GROUP 9
#define MARK '\0' /* which no argument holds */

typedef struct {
    GRegex *regex;
    GString *
        replacement; /* NULL: matching lines go. \1 to \9 and \0 are bytes 1 to 9, with EDIT_MARK before each */
    bool is_global;
} Edit;

#define MARK '\0'

static void
edit_clear(Edit *edit)
{
    g_clear_pointer(&edit->regex, g_regex_unref);
    if (edit->replacement != NULL)
        g_string_free(edit->replacement, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Edit, edit_clear)

static bool
refuse(GError **error, const char *what, const char *expression)
{
    return error_set_code(error, BASE_ERROR_USAGE,
                          "'%s' %s; without perl only s/PATTERN/REPLACEMENT/ with the flags g and i, and "
                          "/PATTERN/d are understood",
                          expression, what);
}

/* cut: (transfer full) (nullable) what @at has up to the next @delimiter that no backslash precedes; @at moves behind it */
static char *
cut(const char **at, char delimiter)
{
    g_autoptr(GString) part = g_string_new(NULL);

    for (const char *c = *at; *c != '\0'; c++) {
        if (*c == delimiter) {
            *at = c + 1;
            return g_string_free(g_steal_pointer(&part), FALSE);
        }
        if (*c == '\\' && c[1] != '\0') {
            if (c[1] != delimiter)
                g_string_append_c(part, *c);
            c++;
        }
        g_string_append_c(part, *c);
    }
    return NULL;
}

static bool
add_group(GString *out, const char *digit)
{
    if (*digit < '0' || *digit > '0' + MAX_GROUP || g_ascii_isdigit(digit[1]))
        return false;
    g_string_append_c(out, MARK);
    g_string_append_c(out, *digit);
    return true;
}

/* An escape in a replacement: a group, a newline, a tab, or punctuation that stands for itself. */
static bool
add_escape(GString *out, const char *c)
{
    if (*c == '0' || g_ascii_isdigit(*c))
        return *c != '0' && add_group(out, c);
    if (*c == 'n' || *c == 't')
        g_string_append_c(out, *c == 'n' ? '\n' : '\t');
    else if (g_ascii_ispunct(*c))
        g_string_append_c(out, *c);
    else
        return false;
    return true;
}

/* "$1", "${1}" or "$&": @at stands on the dollar, and afterwards on the last character. */
static bool
add_variable(GString *out, const char **at)
{
    const char *c = *at + 1;

    if (*c == '&')
        *at = c;
    else if (*c == '{' && c[1] != '\0' && c[2] == '}')
        *at = c + 2;
    else if (g_ascii_isdigit(*c))
        *at = c;
    else
        return false;
    if (*c == '&')
        return g_string_append_c(out, MARK), g_string_append_c(out, '0'), true;
    if (*c == '{')
        return g_ascii_isdigit(c[1]) && c[1] != '0' &&
               (g_string_append_c(out, MARK), g_string_append_c(out, c[1]), true);
    return *c != '0' && add_group(out, c);
}

static bool
parse_replacement(Edit *edit, const char *text)
{
    edit->replacement = g_string_new(NULL);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\') {
            if (!add_escape(edit->replacement, ++c))
                return false;
        } else if (*c == '$') {
            if (!add_variable(edit->replacement, &c))
                return false;
        } else if (*c == '@' && (g_ascii_isalpha(c[1]) || c[1] == '_' || c[1] == '{')) {
            return false; /* an array */
        } else {
            g_string_append_c(edit->replacement, *c);
        }
    }
    return true;
}

static bool
has_variable(const char *pattern)
{
    for (const char *c = pattern; *c != '\0'; c++) {
        if (*c == '\\' && c[1] != '\0')
            c++;
        else if ((*c == '$' || *c == '@') && (g_ascii_isalnum(c[1]) || c[1] == '_' || c[1] == '{'))
            return true;
    }
    return false;
}

static bool
parse(Edit *edit, const char *expression, GError **error)
{
    g_autofree char *trimmed = g_strstrip(g_strdup(expression));
    const char *at = trimmed;
    bool is_substitution = *at == 's' && g_ascii_ispunct(at[1]);
    char delimiter = is_substitution ? at[1] : '/';
    g_autofree char *pattern = NULL, *replacement = NULL;
    g_autoptr(GError) problem = NULL;
    GRegexCompileFlags flags = G_REGEX_RAW;

    if ((!is_substitution && *at != '/') || strchr("({[<'#\\", delimiter) != NULL)
        return refuse(error, "is not understood", expression);
    at += is_substitution ? 2 : 1;
    pattern = cut(&at, delimiter);
    replacement = is_substitution && pattern != NULL ? cut(&at, delimiter) : NULL;
    if (pattern == NULL || (is_substitution && replacement == NULL))
        return refuse(error, "has no end", expression);
    if (pattern[0] == '\0')
        return refuse(error, "has an empty pattern", expression);
    if (has_variable(pattern) || (is_substitution && !parse_replacement(edit, replacement)))
        return refuse(error, "has a variable or an escape that is not understood", expression);
    if (!is_substitution && *at++ != 'd')
        return refuse(error, "is not understood", expression);
    for (; is_substitution && (*at == 'g' || *at == 'i'); at++) {
        edit->is_global = edit->is_global || *at == 'g';
        flags |= *at == 'i' ? G_REGEX_CASELESS : 0;
    }
    at += *at == ';';
    if (*at != '\0')
        return refuse(error, "has something behind its end that is not understood", expression);
    edit->regex = g_regex_new(pattern, flags, 0, &problem);
    return edit->regex != NULL ||
           error_set_code(error, BASE_ERROR_USAGE, "'%s': %s", expression, problem->message);
}

static void
add_replacement(GString *out, const Edit *edit, const GMatchInfo *match)
{
    for (gsize i = 0; i < edit->replacement->len; i++) {
        char c = edit->replacement->str[i];
        g_autofree char *group = NULL;

        if (c != MARK) {
            g_string_append_c(out, c);
            continue;
        }
        group = g_match_info_fetch(match, edit->replacement->str[++i] - '0');
        if (group != NULL)
            g_string_append(out, group);
    }
}

/* One line, its newline included. */
static bool
edit_line(const Edit *edit, const char *line, gsize size, GString *out, GError **error)
{
    g_autoptr(GMatchInfo) match = NULL;
    int from, to, done = 0;
    bool is_match = g_regex_match_full(edit->regex, line, (gssize)size, 0, 0, &match, error);

    if (edit->replacement == NULL && is_match)
        return true;
    while (is_match && g_match_info_fetch_pos(match, 0, &from, &to)) {
        g_string_append_len(out, line + done, from - done);
        add_replacement(out, edit, match);
        done = to;
        is_match = edit->is_global && g_match_info_next(match, error);
    }
    g_string_append_len(out, line + done, (gssize)size - done);
    return error == NULL || *error == NULL;
}

char *
edit_text(const char *text, const char *expression, GError **error)
{
    g_auto(Edit) edit = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) problem = NULL;

    if (!parse(&edit, expression, error))
        return NULL;
    while (*text != '\0') {
        const char *newline = strchr(text, '\n');
        gsize size = newline != NULL ? (gsize)(newline - text) + 1 : strlen(text);

        if (!edit_line(&edit, text, size, out, &problem)) {
            error_set(error, "'%s': %s", expression, problem->message);
            return NULL;
        }
        if (out->len > EDIT_MAX_BYTES) {
            error_set(error, "'%s': makes the file larger than %u MiB", expression, EDIT_MAX_BYTES >> 20);
            return NULL;
        }
        text += size;
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}
