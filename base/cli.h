// SPDX-License-Identifier: Apache-2.0
/* What every verb needs on the command line: its description, sizes, tables, safe text, notes and warnings.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/**
 * Verb: one command as the table in cli/verbs.c knows it. Its --help, its completion and the check of its man
 * page all come from here.
 */
typedef struct {
    const char *name;            /* "pull", or two words: "repo init" */
    const char *arguments;       /* "IMAGE [NAME]" as in the usage line, "" for none */
    const char *summary;         /* one line, no full stop */
    const char *description;     /* what --help says below the options; may be NULL */
    const GOptionEntry *options; /* ends with G_OPTION_ENTRY_NULL; values land in the verb file's statics */
    int min_arguments;
    int max_arguments; /* -1: any number */
    /** run: @argv holds the positional arguments alone. Results go to stdout. */
    bool (*run)(int argc, char **argv, GError **error);
    const GOptionEntry *(*more_options)(void); /* (nullable) options that it has in common with other verbs */
} Verb;

/** cli_warn: "virt-depot: warning: ..." on stderr. For verbs and main() only: libraries return what they
 * found. */
void cli_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);

/** cli_note: one line on stderr unless --quiet. */
void cli_note(const char *format, ...) G_GNUC_PRINTF(1, 2);

void cli_set_quiet(bool quiet);

/**
 * cli_parse_size: "8G", "512M", "1.5T", "1048576": bytes, with optional binary suffix b K M G T P, either
 * case. Errors: BASE_ERROR_USAGE for anything else, for zero and for more than 2^62
 */
bool cli_parse_size(const char *text, uint64_t *out_bytes, GError **error);

/** cli_parse_age: "30d", "12h", "2w", "90m", "45s": seconds; 0 is allowed as "0". BASE_ERROR_USAGE otherwise. */
bool cli_parse_age(const char *text, int64_t *out_seconds, GError **error);

/** cli_format_size: (transfer full) "3.0 GiB". */
char *cli_format_size(uint64_t bytes);

/** cli_format_time: (transfer full) UTC, ISO 8601 to the second; "-" for 0. */
char *cli_format_time(int64_t unix_seconds);

/** cli_safe: (transfer full) @text fit for a terminal: control bytes and invalid UTF-8 as \xNN. NULL gives
 * "-". */
char *cli_safe(const char *text);

/**
 * cli_print_table: columns aligned by width on stdout. @rows: (element-type GStrv), each @columns long;
 * @heading likewise. Cells go through cli_safe().
 */
void cli_print_table(const char *const *heading, GPtrArray *rows);

/** cli_read_secret: the first line of @path ("-": stdin), at most 4096 bytes, without its newline. (transfer
 * full) */
char *cli_read_secret(const char *path, GError **error);

/** cli_check_private: whether @path is a file of ours, or root's, that nobody else can read. */
bool cli_check_private(const char *path, GError **error);

/**
 * cli_read_credential: cli_read_secret() of a file that nobody but its owner can read, or of the systemd credential @name
 * in $CREDENTIALS_DIRECTORY. Exactly one of @path and @name is not NULL.
 */
char *cli_read_credential(const char *path, const char *name, GError **error);
