// SPDX-License-Identifier: Apache-2.0
/* The line grammar below the catalogue: sections of fields with continuation lines. Private to index/. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    unsigned line; /* from 1 */
    char *key;     /* [A-Za-z0-9_.]+ */
    char *subkey;  /* [A-Za-z0-9_,.]+ or NULL */
    GString
        *value; /* lines joined by '\n'; no blanks at line ends, none before the first, no '\n' at the end */
} GrammarField;

typedef struct {
    unsigned line;     /* of its header */
    char *name;        /* [-A-Za-z0-9._]+ */
    GPtrArray *fields; /* (element-type GrammarField), at most INDEX_MAX_FIELDS */
} GrammarSection;

/** GrammarEvents: what the reader reports, in file order (a section at its end). Any may be NULL. */
typedef struct {
    void (*comment)(unsigned line, const char *text,
                    void *context); /* before the first section only, without '#' */
    void (*section)(const GrammarSection *section, void *context);
    void (*problem)(unsigned line, const char *message,
                    void *context); /* a line or section that is skipped */
} GrammarEvents;

/** index_grammar_read: read all of @text, which holds no NUL. Accepts the union of both virt-builder
 * grammars. */
void index_grammar_read(const char *text, size_t size, const GrammarEvents *events, void *context);

/* The character sets, for the writer's checks. */
bool index_grammar_is_name(const char *text);
bool index_grammar_is_key(const char *text);
bool index_grammar_is_subkey(const char *text);
