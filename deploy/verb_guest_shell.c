// SPDX-License-Identifier: Apache-2.0
/* virt-depot guest shell and guest rescue. */
#include "base/interrupt.h"
#include "deploy/commands.h"
#include "deploy/deploy.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gboolean option_write, option_network;

static const GOptionEntry OPTIONS[] = {
    SUBJECT_OPTIONS,
    SUBJECT_MOUNT_OPTION,
    {"rw", 'w', 0, G_OPTION_ARG_NONE, &option_write, "Allow changes; the guest must not be running", NULL},
    {"network", 0, 0, G_OPTION_ARG_NONE, &option_network, "Programs may use this host's network", NULL},
    G_OPTION_ENTRY_NULL,
};

/* Command: one word of the shell. */
typedef struct {
    const char *name, *arguments;
    int least, most; /* how many arguments; -1: any number */
    bool (*run)(GuestView *view, char **arguments, GError **error);
} Command;

static bool
do_ls(GuestView *view, char **arguments, GError **error)
{
    return commands_ls(view, arguments, &(ListStyle){0}, error);
}

static bool
do_ll(GuestView *view, char **arguments, GError **error)
{
    return commands_ls(view, arguments, &(ListStyle){.is_long = true}, error);
}

static bool
do_find(GuestView *view, char **arguments, GError **error)
{
    return commands_ls(view, arguments, &(ListStyle){.is_recursive = true}, error);
}

static bool
do_cat(GuestView *view, char **arguments, GError **error)
{
    return commands_cat(view, arguments, error);
}

static bool
do_edit(GuestView *view, char **arguments, GError **error)
{
    return commands_edit(view, arguments[0], NULL, error);
}

static bool
do_copy_in(GuestView *view, char **arguments, GError **error)
{
    return commands_copy_in(view, arguments, error);
}

static bool
do_copy_out(GuestView *view, char **arguments, GError **error)
{
    return commands_copy_out(view, arguments, error);
}

static bool
do_filesystems(GuestView *view, char **arguments G_GNUC_UNUSED, GError **error)
{
    return commands_filesystems(view, &(VolumeStyle){.is_all = true, .is_long = true}, error);
}

static bool
do_run(GuestView *view, char **arguments, GError **error)
{
    g_autofree char *text = NULL;

    if (!guest_view_run(view, arguments[0], &text, error))
        return false;
    fputs(text, stdout);
    return true;
}

static const Command COMMANDS[] = {
    {"ls", "FOLDER...", 1, -1, do_ls},
    {"ll", "FOLDER...", 1, -1, do_ll},
    {"find", "FOLDER...", 1, -1, do_find},
    {"cat", "FILE...", 1, -1, do_cat},
    {"edit", "FILE", 1, 1, do_edit},
    {"copy-in", "PATH... FOLDER", 2, -1, do_copy_in},
    {"copy-out", "PATH... FOLDER", 2, -1, do_copy_out},
    {"filesystems", "", 0, 0, do_filesystems},
    {"run", "'SHELL COMMAND'", 1, 1, do_run},
};

static void
print_help(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
        printf("%s %s\n", COMMANDS[i].name, COMMANDS[i].arguments);
    puts("exit");
}

/* @words: at least one */
static bool
run_words(GuestView *view, char **words, GError **error)
{
    int n = (int)g_strv_length(words) - 1;

    if (strcmp(words[0], "help") == 0) {
        print_help();
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(COMMANDS); i++) {
        const Command *command = &COMMANDS[i];

        if (strcmp(words[0], command->name) != 0)
            continue;
        if (n < command->least || (command->most >= 0 && n > command->most))
            return error_set(error, "usage: %s %s", command->name, command->arguments);
        return command->run(view, words + 1, error);
    }
    return error_set(error, "'%s': no such command; 'help' lists them", words[0]);
}

/* A script ends at its first failure; a person is told and goes on. */
static bool
run_line(GuestView *view, const char *line, bool is_person, bool *out_is_over, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_auto(GStrv) words = NULL;
    g_autofree char *safe = NULL;
    const char *start = line + strspn(line, " \t\n");

    if (start[0] == '\0' || start[0] == '#')
        return true;
    if (g_shell_parse_argv(start, NULL, &words, &problem)) {
        *out_is_over = strcmp(words[0], "exit") == 0 || strcmp(words[0], "quit") == 0;
        if (*out_is_over || run_words(view, words, &problem))
            return true;
    }
    if (!is_person || g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    safe = cli_safe(problem->message);
    fprintf(stderr, "%s\n", safe);
    return true;
}

static bool
run_lines(GuestView *view, GError **error)
{
    bool is_person = isatty(STDIN_FILENO), is_over = false;
    char *line = NULL;
    size_t size = 0;
    bool is_ok = true;

    while (is_ok && !is_over) {
        if (is_person)
            fputs("> ", stdout);
        fflush(stdout);
        if (getline(&line, &size, stdin) < 0)
            break;
        is_ok = run_line(view, line, is_person, &is_over, error);
    }
    free(line);
    return is_ok && interrupt_check(error);
}

static GuestView *
open_guest(int *argc, char ***argv, unsigned use, GError **error)
{
    GuestView *view = subject_open(
        argc, argv, use | (option_write ? SUBJECT_WRITE : 0) | (option_network ? SUBJECT_NETWORK : 0), error);

    if (view != NULL && !option_write)
        cli_note("The guest is open for reading: what is changed in it is lost. --rw allows changes.");
    return view;
}

static bool
run_shell(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = open_guest(&argc, &argv, 0, error);

    if (view == NULL)
        return false;
    if (!run_lines(view, error)) {
        if (option_write)
            guest_view_finish(view, NULL); /* what was done before stays done, not half of it */
        return false;
    }
    return !option_write || guest_view_finish(view, error);
}

static bool
run_rescue(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = open_guest(&argc, &argv, SUBJECT_RESCUE, error);

    if (view == NULL)
        return false;
    cli_note("A shell in the appliance; the guest is below /sysroot. 'exit' or Ctrl-] ends it.");
    return guest_view_console(view, STDIN_FILENO, STDOUT_FILENO, error);
}

const Verb DEPLOY_VERB_GUEST_SHELL = {
    .name = "guest shell",
    .arguments = "[DISK]",
    .summary = "Look into a guest command by command",
    .description = "Reads commands from standard input, 'help' lists them. Only --rw allows changes.",
    .options = OPTIONS,
    .max_arguments = 1,
    .run = run_shell,
};

const Verb DEPLOY_VERB_GUEST_RESCUE = {
    .name = "guest rescue",
    .arguments = "[DISK]",
    .summary = "A root shell beside a guest that does not start",
    .description =
        "The shell runs in the appliance, with the guest below /sysroot. Only --rw allows changes.",
    .options = OPTIONS,
    .max_arguments = 1,
    .run = run_rescue,
};
