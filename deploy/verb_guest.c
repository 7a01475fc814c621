// SPDX-License-Identifier: Apache-2.0
/* virt-depot guest ls, cat, filesystems, df, copy-out, copy-in, edit, sparsify. */
#include "base/json.h"
#include "deploy/commands.h"
#include "deploy/deploy.h"

#include <stdio.h>
#include <string.h>

static gboolean option_long, option_recursive, option_all, option_human, option_json;
static char *option_backup, *option_expression;

/* Guests are read or written by one verb alone, so the options can share their places. */
static const GOptionEntry LS_OPTIONS[] = {
    SUBJECT_OPTIONS,
    SUBJECT_MOUNT_OPTION,
    {"long", 'l', 0, G_OPTION_ARG_NONE, &option_long, "Also mode, links, owner, group, size and time", NULL},
    {"recursive", 'R', 0, G_OPTION_ARG_NONE, &option_recursive, "Also what is in the folders below", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry MOUNTED_OPTIONS[] = {
    SUBJECT_OPTIONS,
    SUBJECT_MOUNT_OPTION,
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry EDIT_OPTIONS[] = {
    SUBJECT_OPTIONS,
    SUBJECT_MOUNT_OPTION,
    {"expr", 'e', 0, G_OPTION_ARG_STRING, &option_expression,
     "A Perl expression for each line, in place of an editor", "EXPRESSION"},
    {"backup", 'b', 0, G_OPTION_ARG_STRING, &option_backup, "Keep the old file, with SUFFIX after its name",
     "SUFFIX"},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry FILESYSTEMS_OPTIONS[] = {
    SUBJECT_OPTIONS,
    {"long", 'l', 0, G_OPTION_ARG_NONE, &option_long, "A table with types, labels, UUIDs and sizes", NULL},
    {"all", 0, 0, G_OPTION_ARG_NONE, &option_all, "Also swap, partitions, LVM and the disks", NULL},
    {"human-readable", 'h', 0, G_OPTION_ARG_NONE, &option_human, "Sizes as 1.5 GiB", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry DF_OPTIONS[] = {
    SUBJECT_OPTIONS,
    {"human-readable", 'h', 0, G_OPTION_ARG_NONE, &option_human, "Sizes as 1.5 GiB", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry SPARSIFY_OPTIONS[] = {
    SUBJECT_OPTIONS,
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

/* How many words there must be besides the guest: main() cannot tell, as --domain and --add take the guest's place. */
static bool
check_count(int argc, int least, int most, const char *usage, GError **error)
{
    bool is_named = subject_options.domain != NULL || subject_options.files != NULL;
    int n = is_named ? argc : argc - 1;

    if (n >= least && (most < 0 || n <= most))
        return true;
    return error_set_code(error, BASE_ERROR_USAGE,
                          "wrong number of arguments; usage: virt-depot guest %s, with --domain or --add "
                          "without DISK",
                          usage);
}

static bool
run_ls(int argc, char **argv, GError **error)
{
    const ListStyle style = {option_recursive, option_long, option_json};
    g_autoptr(GuestView) view = NULL;

    if (!check_count(argc, 1, -1, "ls DISK FOLDER...", error))
        return false;
    view = subject_open(&argc, &argv, 0, error);
    return view != NULL && commands_ls(view, argv, &style, error);
}

static bool
run_cat(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = NULL;

    if (!check_count(argc, 1, -1, "cat DISK FILE...", error))
        return false;
    view = subject_open(&argc, &argv, 0, error);
    return view != NULL && commands_cat(view, argv, error);
}

static bool
run_copy_out(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = NULL;

    if (!check_count(argc, 2, -1, "copy-out DISK PATH... FOLDER", error))
        return false;
    view = subject_open(&argc, &argv, 0, error);
    return view != NULL && commands_copy_out(view, argv, error);
}

static bool
run_copy_in(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = NULL;

    if (!check_count(argc, 2, -1, "copy-in DISK PATH... FOLDER", error))
        return false;
    view = subject_open(&argc, &argv, SUBJECT_WRITE, error);
    return view != NULL && commands_copy_in(view, argv, error) && guest_view_finish(view, error);
}

static bool
edit_by_expression(GuestView *view, char *const *paths, GError **error)
{
    g_autoptr(GuestOps) ops = guest_ops_new();

    for (; *paths != NULL; paths++) {
        g_autofree char *argument = g_strdup_printf("%s:%s", *paths, option_expression);

        if (strchr(*paths, ':') != NULL)
            return error_set_code(error, BASE_ERROR_USAGE,
                                  "%s: --expr takes no file with a colon in its name", *paths);
        if (!guest_ops_add(ops, "edit", argument, error))
            return false;
    }
    return guest_view_apply(view, ops, error);
}

static bool
run_edit(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = NULL;
    bool is_ok = true;

    if (!check_count(argc, 1, -1, "edit DISK FILE...", error))
        return false;
    if (option_expression != NULL && option_backup != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--expr excludes --backup");
    view = subject_open(&argc, &argv, SUBJECT_WRITE, error);
    if (view == NULL)
        return false;
    if (option_expression != NULL)
        is_ok = edit_by_expression(view, argv, error);
    for (; option_expression == NULL && is_ok && *argv != NULL; argv++)
        is_ok = commands_edit(view, *argv, option_backup, error);
    return is_ok && guest_view_finish(view, error);
}

static bool
run_filesystems(int argc, char **argv, GError **error)
{
    const VolumeStyle style = {option_all, option_long, option_human, option_json};
    g_autoptr(GuestView) view = NULL;

    if (!check_count(argc, 0, 0, "filesystems DISK", error))
        return false;
    view = subject_open(&argc, &argv, SUBJECT_UNMOUNTED, error);
    return view != NULL && commands_filesystems(view, &style, error);
}

static bool
run_df(int argc, char **argv, GError **error)
{
    const VolumeStyle style = {.is_human = option_human, .is_json = option_json};
    g_autoptr(GuestView) view = NULL;
    bool is_ok;

    if (!check_count(argc, 0, 0, "df DISK", error))
        return false;
    view = subject_open(&argc, &argv, SUBJECT_UNMOUNTED, error);
    is_ok = view != NULL && commands_df(view, &style, error);
    if (view != NULL)
        subject_warn(view);
    return is_ok;
}

static bool
run_sparsify(int argc, char **argv, GError **error)
{
    g_autoptr(GuestView) view = NULL;
    g_autoptr(Json) json = json_new_object();
    g_autofree char *text = NULL, *was = NULL, *is = NULL;
    uint64_t before = 0, after = 0;
    bool is_ok;

    if (!check_count(argc, 0, 0, "sparsify DISK", error))
        return false;
    view = subject_open(&argc, &argv, SUBJECT_UNMOUNTED | SUBJECT_WRITE, error);
    is_ok = view != NULL && guest_view_sparsify(view, &before, &after, error);
    if (view != NULL)
        subject_warn(view);
    if (!is_ok)
        return false;
    json_set_number(json, "before", (int64_t)before);
    json_set_number(json, "after", (int64_t)after);
    text = json_print(json);
    was = cli_format_size(before);
    is = cli_format_size(after);
    if (option_json)
        fputs(text, stdout);
    else
        printf("%s now, %s before\n", is, was);
    return true;
}

const Verb DEPLOY_VERB_GUEST_LS = {
    .name = "guest ls",
    .arguments = "[DISK] FOLDER...",
    .summary = "List files of a guest",
    .description = "Reads alone, so the guest may be running.",
    .options = LS_OPTIONS,
    .max_arguments = -1,
    .run = run_ls,
};

const Verb DEPLOY_VERB_GUEST_CAT = {
    .name = "guest cat",
    .arguments = "[DISK] FILE...",
    .summary = "Print files of a guest",
    .description = "Reads alone, so the guest may be running.",
    .options = MOUNTED_OPTIONS,
    .max_arguments = -1,
    .run = run_cat,
};

const Verb DEPLOY_VERB_GUEST_EDIT = {
    .name = "guest edit",
    .arguments = "[DISK] FILE...",
    .summary = "Edit files of a guest",
    .description = "Opens each file in $VISUAL, $EDITOR or vi. The guest must not be running.",
    .options = EDIT_OPTIONS,
    .max_arguments = -1,
    .run = run_edit,
};

const Verb DEPLOY_VERB_GUEST_COPY_IN = {
    .name = "guest copy-in",
    .arguments = "[DISK] PATH... FOLDER",
    .summary = "Copy files into a guest",
    .description = "The guest must not be running.",
    .options = MOUNTED_OPTIONS,
    .max_arguments = -1,
    .run = run_copy_in,
};

const Verb DEPLOY_VERB_GUEST_COPY_OUT = {
    .name = "guest copy-out",
    .arguments = "[DISK] PATH... FOLDER",
    .summary = "Copy files out of a guest",
    .description = "Reads alone, so the guest may be running. What the guest has cannot lead out of FOLDER.",
    .options = MOUNTED_OPTIONS,
    .max_arguments = -1,
    .run = run_copy_out,
};

const Verb DEPLOY_VERB_GUEST_FILESYSTEMS = {
    .name = "guest filesystems",
    .arguments = "[DISK]",
    .summary = "List file systems, partitions and LVM of a guest",
    .description = "Reads alone, so the guest may be running.",
    .options = FILESYSTEMS_OPTIONS,
    .max_arguments = 1,
    .run = run_filesystems,
};

const Verb DEPLOY_VERB_GUEST_DF = {
    .name = "guest df",
    .arguments = "[DISK]",
    .summary = "Show how full a guest's file systems are",
    .description = "Reads alone, so the guest may be running.",
    .options = DF_OPTIONS,
    .max_arguments = 1,
    .run = run_df,
};

const Verb DEPLOY_VERB_GUEST_SPARSIFY = {
    .name = "guest sparsify",
    .arguments = "[DISK]",
    .summary = "Give back what a guest's disks do not use",
    .description = "Works in place. The guest must not be running.",
    .options = SPARSIFY_OPTIONS,
    .max_arguments = 1,
    .run = run_sparsify,
};
