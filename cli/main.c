// SPDX-License-Identifier: Apache-2.0
/*
 * virt-depot: find the verb, parse its options, run it, print its error and choose the exit status
 * (0 done, 1 failed, 2 wrong usage, 3 not trusted). Nothing else prints errors or exits.
 */
#include "base/cli.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "fetch/fetch.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNTRUSTED = 3 } ExitStatus;

static gboolean option_quiet;

static const GOptionEntry COMMON_OPTIONS[] = {
    {"quiet", 'q', 0, G_OPTION_ARG_NONE, &option_quiet, "No progress and no notes, only results and errors",
     NULL},
    G_OPTION_ENTRY_NULL,
};

/* The verb that the first one or two words of @argv name; two words ("repo init") win over one. */
static const Verb *
find_verb(int argc, char **argv, int *out_words)
{
    const Verb *found = NULL;

    for (size_t i = 0; CLI_VERBS[i] != NULL; i++) {
        const char *blank = strchr(CLI_VERBS[i]->name, ' ');
        size_t first = blank != NULL ? (size_t)(blank - CLI_VERBS[i]->name) : strlen(CLI_VERBS[i]->name);
        bool is_match =
            argc > 0 && strlen(argv[0]) == first && strncmp(argv[0], CLI_VERBS[i]->name, first) == 0;

        if (is_match && blank != NULL)
            is_match = argc > 1 && strcmp(argv[1], blank + 1) == 0;
        if (is_match && (found == NULL || blank != NULL)) {
            found = CLI_VERBS[i];
            *out_words = blank != NULL ? 2 : 1;
        }
    }
    return found;
}

static void
print_verbs(FILE *to)
{
    fputs("Usage: virt-depot VERB [OPTIONS] [ARGUMENTS]\n\n"
          "Keeps and uses VM images on KVM: publish signed repositories, pull, customize and deploy.\n\n",
          to);
    for (size_t i = 0; CLI_VERBS[i] != NULL; i++)
        fprintf(to, "  %-14s  %s\n", CLI_VERBS[i]->name, CLI_VERBS[i]->summary);
    fputs("\n'virt-depot VERB --help' describes a verb, 'man virt-depot' all of them.\n", to);
}

static void
print_entries(const GOptionEntry *entries)
{
    for (const GOptionEntry *entry = entries; entry->long_name != NULL; entry++) {
        bool has_value = entry->arg != G_OPTION_ARG_NONE && (entry->flags & G_OPTION_FLAG_NO_ARG) == 0;

        if ((entry->flags & G_OPTION_FLAG_HIDDEN) == 0)
            printf("--%s%s\n", entry->long_name, has_value ? "=" : "");
    }
}

static void
print_options(const Verb *verb)
{
    print_entries(verb->options);
    if (verb->more_options != NULL)
        print_entries(verb->more_options());
    puts("--quiet\n--help");
}

/* What shell completion asks for: "virt-depot --complete [VERB WORDS]" prints candidates, one a line. */
static int
complete(int argc, char **argv)
{
    int words = 0;
    const Verb *verb = find_verb(argc, argv, &words);

    if (verb != NULL) {
        print_options(verb);
        return EXIT_DONE;
    }
    for (size_t i = 0; CLI_VERBS[i] != NULL; i++) {
        const char *blank = strchr(CLI_VERBS[i]->name, ' ');

        if (argc == 0)
            printf("%.*s\n",
                   (int)(blank != NULL ? blank - CLI_VERBS[i]->name : (int)strlen(CLI_VERBS[i]->name)),
                   CLI_VERBS[i]->name);
        else if (blank != NULL && strlen(argv[0]) == (size_t)(blank - CLI_VERBS[i]->name) &&
                 g_str_has_prefix(CLI_VERBS[i]->name, argv[0]))
            puts(blank + 1);
    }
    return EXIT_DONE;
}

static bool
parse_options(const Verb *verb, int *argc, char ***argv, GError **error)
{
    g_autofree char *usage = g_strdup_printf("%s %s", verb->name, verb->arguments);
    g_autoptr(GOptionContext) context = g_option_context_new(verb->arguments);

    g_option_context_set_summary(context, verb->summary);
    if (verb->description != NULL)
        g_option_context_set_description(context, verb->description);
    g_option_context_add_main_entries(context, verb->options, NULL);
    if (verb->more_options != NULL)
        g_option_context_add_main_entries(context, verb->more_options(), NULL);
    g_option_context_add_main_entries(context, COMMON_OPTIONS, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return false;
    if (*argc - 1 < verb->min_arguments || (verb->max_arguments >= 0 && *argc - 1 > verb->max_arguments))
        return error_set_code(error, BASE_ERROR_USAGE, "%s: wrong number of arguments; usage: virt-depot %s",
                              verb->name, usage);
    return true;
}

static bool
run_verb(const Verb *verb, int argc, char **argv, GError **error)
{
    g_autofree char *program = g_strdup_printf("virt-depot %s", verb->name);
    g_autofree char **line = g_new0(char *, (gsize)argc + 2);
    char **rest = line;
    int n = argc + 1;
    bool is_ok;

    /* GOption shows argv[0] in --help; it moves pointers but frees none that it removes. */
    line[0] = program;
    memcpy(line + 1, argv, (size_t)argc * sizeof *argv);
    g_set_prgname(program);
    is_ok = parse_options(verb, &n, &rest, error);
    g_set_prgname("virt-depot");
    if (!is_ok)
        return false;
    /* "--" ends the options; GOption leaves it in place. */
    if (n > 1 && strcmp(rest[1], "--") == 0) {
        rest++;
        n--;
    }
    if (option_quiet) {
        cli_set_quiet(true);
        progress_disable();
    }
    return verb->run(n - 1, rest + 1, error);
}

static ExitStatus
exit_status(const GError *error)
{
    if (error->domain == G_OPTION_ERROR || g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE))
        return EXIT_USAGE;
    if (g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED))
        return EXIT_UNTRUSTED;
    return EXIT_FAILED;
}

/* explain_missing_verb: a first word that is right gets the second words that go with it. */
static void
explain_missing_verb(int argc, char **argv)
{
    g_autoptr(GString) second = g_string_new(NULL);
    g_autofree char *prefix = argc > 0 ? g_strconcat(argv[0], " ", NULL) : NULL;
    g_autofree char *words = NULL, *shown = NULL;

    if (argc == 0) {
        print_verbs(stderr);
        return;
    }
    for (const Verb *const *verb = CLI_VERBS; *verb != NULL; verb++)
        if (g_str_has_prefix((*verb)->name, prefix))
            g_string_append_printf(second, "%s%s", second->len > 0 ? ", " : "",
                                   (*verb)->name + strlen(prefix));
    words = second->len > 0 && argc > 1 ? g_strdup_printf("%s %s", argv[0], argv[1]) : g_strdup(argv[0]);
    shown = cli_safe(words);
    if (second->len > 0)
        fprintf(stderr, "virt-depot: '%s': no such verb; after '%s' comes one of: %s\n", shown, argv[0],
                second->str);
    else
        fprintf(stderr, "virt-depot: '%s': no such verb; 'virt-depot --help' lists them all\n", shown);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *safe = NULL;
    const Verb *verb;
    int words = 0;

    if (argc > 1 && strcmp(argv[1], FETCH_UNPACK_OPTION) == 0)
        return fetch_unpack_main(argc - 2, argv + 2);
    setlocale(LC_ALL, "");
    g_set_prgname("virt-depot");
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        return complete(argc - 2, argv + 2);
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        puts("virt-depot " VD_VERSION);
        return EXIT_DONE;
    }
    if (argc > 1 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
        print_verbs(stdout);
        return EXIT_DONE;
    }
    verb = find_verb(argc - 1, argv + 1, &words);
    if (verb == NULL) {
        explain_missing_verb(argc - 1, argv + 1);
        return EXIT_USAGE;
    }
    interrupt_install();
    if (run_verb(verb, argc - 1 - words, argv + 1 + words, &error)) {
        if (fflush(stdout) == 0)
            return EXIT_DONE;
        fputs("virt-depot: cannot write to stdout\n", stderr);
        return EXIT_FAILED;
    }
    safe = cli_safe(error->message);
    fprintf(stderr, "virt-depot: %s\n", safe);
    if (g_error_matches(error, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
        signal(interrupt_signal(), SIG_DFL);
        raise(interrupt_signal());
    }
    return exit_status(error);
}
