// SPDX-License-Identifier: Apache-2.0
/*
 * The old grammar of virt-builder (index-scan.l and index-parse.y up to 1.55.5) as a state machine over lines, and
 * what its reader of fields does with their values (index_parser.ml). It reads the file as it is: trailing blanks,
 * armour and line ends count.
 */
#include "index/stock.h"

#include "index/grammar.h"

#include <string.h>

#define MAX_CONTINUATIONS 9994u /* of one value: the depth of its parser's stack */
#define MAX_REVISION G_GUINT64_CONSTANT(0x3fffffffffffffff) /* OCaml's int */
#define PROLOGUE "-----BEGIN PGP SIGNED MESSAGE-----"
#define EPILOGUE "-----BEGIN PGP SIGNATURE-----"

typedef enum { BEFORE_SECTION, AFTER_HEADER, AFTER_FIELD, AFTER_BLANK } Place;

typedef struct {
    const char *path;
    GPtrArray *findings;
    unsigned n_findings;
    unsigned line;
    Place place;
    unsigned n_sections, n_continuations, section_line;
    bool has_digest; /* of the section at hand: what a stock client compares the image with */
    bool has_token;  /* anything but a comment: then the armour may not start any more */
    bool is_signed, is_in_armour_header, is_over;
    bool has_said_crlf, has_said_encoding;
} Checker;

static void
warn(Checker *checker, unsigned line, const char *message)
{
    if (checker->n_findings++ < INDEX_MAX_PROBLEMS)
        finding_add(checker->findings, FINDING_WARNING, checker->path, line, "%s", message);
}

static void
end_section(Checker *checker)
{
    if (checker->n_sections > 0 && !checker->has_digest)
        warn(checker, checker->section_line,
             "no SHA-512 checksum, so virt-builder does not verify the image");
}

static void
read_header(Checker *checker)
{
    if (checker->place == AFTER_HEADER || checker->place == AFTER_FIELD)
        warn(checker, checker->line,
             "no empty line before this section: virt-builder before 1.55.6 refuses the file");
    end_section(checker);
    if (++checker->n_sections == INDEX_MAX_PRINT_ENTRIES + 1)
        warn(checker, checker->line,
             "more sections than virt-builder before 1.55.6 can read (2400 are safe)");
    checker->place = AFTER_HEADER;
    checker->section_line = checker->line;
    checker->has_digest = false;
}

static bool
is_key(const char *line, const char *key)
{
    return g_str_has_prefix(line, key) && line[strlen(key)] == '=';
}

/* Values that virt-builder takes as they are, where we trim or convert. */
static void
check_value(Checker *checker, const char *line)
{
    static const char *const EXACT[] = {"osinfo",           "arch",     "file",   "sig",    "checksum",
                                        "checksum[sha512]", "revision", "format", "size",   "compressed_size",
                                        "expand",           "lvexpand", "hidden", "aliases"};
    const char *value = strchr(line, '=') + 1;
    size_t length = strlen(value);
    bool is_exact = false, is_digest = is_key(line, "checksum") || is_key(line, "checksum[sha512]");
    guint64 revision;

    for (size_t i = 0; i < G_N_ELEMENTS(EXACT); i++)
        is_exact = is_exact || is_key(line, EXACT[i]);
    if (is_exact && length > 0 &&
        (strchr(" \t", value[0]) != NULL || strchr(" \t", value[length - 1]) != NULL))
        warn(checker, checker->line, "blanks around the value, which virt-builder takes for part of it");
    if (is_digest && strpbrk(value, "ABCDEF") != NULL)
        warn(checker, checker->line,
             "a checksum in upper case, which virt-builder finds different from the image's");
    if (is_digest || is_key(line, "sig"))
        checker->has_digest = true;
    if (is_key(line, "aliases") && (strstr(value, "  ") != NULL || strchr(value, '\t') != NULL))
        warn(checker, checker->line, "aliases not separated by single blanks, which virt-builder misreads");
    if (is_key(line, "revision") && g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT64, &revision, NULL) &&
        revision > MAX_REVISION)
        warn(checker, checker->line, "a revision above 2^62-1, which virt-builder cannot read");
}

static void
read_field(Checker *checker, const char *line)
{
    if (checker->place == AFTER_BLANK)
        warn(checker, checker->line,
             "an empty line inside a section: virt-builder before 1.55.6 refuses the file");
    checker->place = AFTER_FIELD;
    checker->n_continuations = 0;
    check_value(checker, line);
}

static void
read_continuation(Checker *checker)
{
    if (checker->place == AFTER_BLANK || checker->place == BEFORE_SECTION)
        warn(checker, checker->line,
             "an indented line after an empty one: virt-builder before 1.55.6 refuses the file");
    if (checker->place == AFTER_FIELD && ++checker->n_continuations == MAX_CONTINUATIONS + 1)
        warn(checker, checker->line, "a value of more lines than virt-builder can read");
}

static bool
is_header(const char *line)
{
    g_autofree char *name = g_strdup(line + 1);
    char *end = strchr(name, ']');

    if (end == NULL || end[1 + strspn(end + 1, " \t")] != '\0')
        return false;
    *end = '\0';
    return index_grammar_is_name(name);
}

/* KEY= or KEY[SUBKEY]=. */
static bool
is_field(const char *line)
{
    const char *equals = strchr(line, '=');
    g_autofree char *key = equals == NULL ? NULL : g_strndup(line, (gsize)(equals - line));
    char *subkey = key == NULL ? NULL : strchr(key, '[');
    size_t length;

    if (key == NULL)
        return false;
    if (subkey == NULL)
        return index_grammar_is_key(key);
    length = strlen(subkey);
    if (subkey[length - 1] != ']')
        return false;
    subkey[length - 1] = '\0';
    *subkey++ = '\0';
    return index_grammar_is_key(key) && index_grammar_is_subkey(subkey);
}

static void
read_armour(Checker *checker, const char *line)
{
    if (strcmp(line, EPILOGUE) == 0) {
        checker->is_over = true;
        if (!checker->is_signed)
            warn(checker, checker->line, "a signature without the start of a signed message");
    } else {
        if (checker->has_token)
            warn(checker, checker->line, "text before the signed message");
        checker->is_signed = checker->is_in_armour_header = true;
    }
}

static void
read_token(Checker *checker, const char *line)
{
    if (strcmp(line, PROLOGUE) == 0 || strcmp(line, EPILOGUE) == 0) {
        read_armour(checker, line);
    } else if (*line == '\0') {
        if (checker->place != BEFORE_SECTION)
            checker->place = AFTER_BLANK;
    } else if (*line == '[' && is_header(line)) {
        read_header(checker);
    } else if (*line == ' ' || *line == '\t') {
        read_continuation(checker);
    } else if (is_field(line)) {
        read_field(checker, line);
    } /* else it is refused by index_parse(), too */
    checker->has_token = true;
}

static void
read_line(Checker *checker, char *line)
{
    size_t length = strlen(line);

    checker->line++;
    if (length > 0 && line[length - 1] == '\r') {
        line[length - 1] = '\0';
        if (!checker->has_said_crlf)
            warn(checker, checker->line,
                 "the line ends in CR LF, which virt-builder refuses or takes for the value's");
        checker->has_said_crlf = true;
    }
    if (!checker->has_said_encoding && !g_utf8_validate(line, -1, NULL)) {
        warn(checker, checker->line, "not UTF-8, so virt-builder's JSON is invalid");
        checker->has_said_encoding = true;
    }
    if (checker->is_in_armour_header)
        checker->is_in_armour_header = *line != '\0';
    else if (*line != '#')
        read_token(checker, line);
}

void
index_stock_check(const char *text, size_t size, const char *path, GPtrArray *findings)
{
    Checker checker = {.path = path, .findings = findings};
    const char *end = text + size;
    g_autoptr(GString) line = g_string_new(NULL);

    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        warn(&checker, 1, "a byte order mark, which virt-builder refuses");
        text += 3;
    }
    while (text < end && !checker.is_over) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));

        g_string_truncate(line, 0);
        g_string_append_len(line, text, (newline == NULL ? end : newline) - text);
        read_line(&checker, line->str);
        if (newline == NULL)
            warn(&checker, checker.line, "no newline at the end, so virt-builder refuses the file");
        text = newline == NULL ? end : newline + 1;
    }
    end_section(&checker);
    if (checker.is_signed && !checker.is_over)
        warn(&checker, 0, "a signed message without its signature");
    if (checker.is_signed && checker.n_sections == 0)
        warn(&checker, 0, "a signed index without an image: virt-builder from 1.55.6 on refuses it");
}
