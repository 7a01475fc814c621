// SPDX-License-Identifier: Apache-2.0
/* virt-depot seal: the command line, and what it prints. */
#include "base/cli.h"
#include "base/json.h"
#include "guest/seal.h"
#include "guest/workcopy.h"

#include <stdio.h>
#include <string.h>

#define STAT_BLOCK 512u
#define MAX_DISKS 200u

static gboolean option_in_place, option_dry_run, option_json, option_list, option_network;
static char **option_disks, **option_operations, **option_keep, **option_remove;
static char *option_format, *option_enable, *option_accel;
static int option_memory, option_cpus;

static const GOptionEntry OPTIONS[] = {
    {"add", 'a', 0, G_OPTION_ARG_FILENAME_ARRAY, &option_disks, "The disk of a guest; each one is sealed",
     "DISK"},
    {"format", 0, 0, G_OPTION_ARG_STRING, &option_format, "raw, qcow2 or auto (the default)", "FORMAT"},
    {"in-place", 0, 0, G_OPTION_ARG_NONE, &option_in_place, "Work on the disk itself, not on a copy", NULL},
    {"operations", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_operations,
     "Choose: names, 'defaults', 'all'; a '-' before one takes it out again", "LIST"},
    {"operation", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING_ARRAY, &option_operations, "The same", "LIST"},
    {"enable", 0, 0, G_OPTION_ARG_STRING, &option_enable, "Exactly these operations", "LIST"},
    {"list-operations", 0, 0, G_OPTION_ARG_NONE, &option_list, "Print the operations; '*': done by default",
     NULL},
    {"keep-user-accounts", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_keep, "Users whom user-account leaves",
     "USERS"},
    {"remove-user-accounts", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_remove,
     "The only users whom user-account removes", "USERS"},
    {"network", 0, 0, G_OPTION_ARG_NONE, &option_network, "Let what is run in the guest use the network",
     NULL},
    {"no-network", 0, G_OPTION_FLAG_REVERSE, G_OPTION_ARG_NONE, &option_network, "Do not (the default)",
     NULL},
    {"memsize", 'm', 0, G_OPTION_ARG_INT, &option_memory, "Memory of the appliance", "MIB"},
    {"smp", 0, 0, G_OPTION_ARG_INT, &option_cpus, "CPUs of the appliance", "N"},
    {"accel", 0, 0, G_OPTION_ARG_STRING, &option_accel, "auto, kvm or tcg", "ACCEL"},
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &option_dry_run, "Print what would go; change nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

/* ---- the list of operations ---- */

static void
list_as_json(void)
{
    g_autoptr(Json) json = json_new_object();
    Json *list = json_new_array();
    g_autofree char *text = NULL;

    for (const SealRow *row = seal_rows(); row->name != NULL; row++) {
        Json *one = json_new_object();

        json_set_text(one, "name", row->name);
        json_set_flag(one, "default", row->is_default);
        json_set_text(one, "heading", row->heading);
        json_append(list, one);
    }
    json_set(json, "operations", list);
    text = json_print(json);
    fputs(text, stdout);
}

/* As virt-sysprep prints them. */
static void
list_as_text(void)
{
    for (const SealRow *row = seal_rows(); row->name != NULL; row++)
        printf("%s %s %s\n", row->name, row->is_default ? "*" : " ", row->heading);
}

/* ---- the command line ---- */

/* (transfer full) (nullable) the names in all lists; NULL where the option was not given */
static char **
names_of(char **lists)
{
    g_autofree char *joined = lists != NULL ? g_strjoinv(",", lists) : NULL;

    return joined != NULL ? g_strsplit(joined, ",", -1) : NULL;
}

static bool
choose(SealSet *set, GError **error)
{
    if (option_enable != NULL && option_operations != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--enable and --operations exclude each other");
    if (option_enable != NULL)
        return seal_set_change(set, option_enable, true, error);
    if (option_operations == NULL)
        seal_set_defaults(set);
    for (char **list = option_operations; list != NULL && *list != NULL; list++)
        if (!seal_set_change(set, *list, false, error))
            return false;
    return true;
}

/* What is asked for would not be done, and nobody would notice. */
static bool
check_choice(const SealJob *job, GError **error)
{
    if ((job->keep_accounts != NULL || job->remove_accounts != NULL) &&
        !seal_set_has_action(&job->set, SEAL_ACCOUNTS))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "accounts are named, but 'user-account' is not chosen: add '--operations "
                              "defaults,user-account'");
    if (!guest_ops_is_empty(job->ops) && !seal_set_has_action(&job->set, SEAL_CUSTOMIZE))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "there is something to customize, but 'customize' is not chosen");
    return true;
}

static bool
read_job(SealJob *job, GError **error)
{
    if (option_disks == NULL || g_strv_length(option_disks) > MAX_DISKS)
        return error_set_code(error, BASE_ERROR_USAGE, "1 to %u disks are expected: -a DISK", MAX_DISKS);
    if (option_memory < 0 || option_cpus < 0)
        return error_set_code(error, BASE_ERROR_USAGE, "--memsize and --smp: must be positive");
    if (option_accel != NULL && !guest_accel_parse(option_accel, &job->appliance.accel, error))
        return false;
    job->is_dry_run = option_dry_run;
    job->appliance.has_network = option_network;
    job->appliance.memory_mb = (unsigned)option_memory;
    job->appliance.cpus = (unsigned)option_cpus;
    return choose(&job->set, error) && check_choice(job, error);
}

/* ---- what was done ---- */

typedef struct {
    unsigned items;
    uint64_t bytes;
} Sum;

static Sum
sum_of(const SealReport *report, const SealRow *row)
{
    Sum sum = {0};

    for (unsigned i = 0; i < report->items->len; i++) {
        const SealItem *item = report->items->pdata[i];

        if (row == NULL || item->row == row) {
            sum.items++;
            sum.bytes += item->bytes;
        }
    }
    return sum;
}

static uint64_t
blocks_of(const struct stat *status)
{
    return (uint64_t)status->st_blocks * STAT_BLOCK;
}

static uint64_t
size_now(const WorkCopy *work)
{
    struct stat status = work->before;

    stat(work->target, &status);
    return blocks_of(&status);
}

static Json *
report_to_json(const WorkCopy *work, const SealReport *report)
{
    Json *json = json_new_object(), *operations = json_new_array(), *items = json_new_array();
    Json *notes = json_new_array();

    for (const SealRow *row = seal_rows(); row->name != NULL; row++) {
        Sum sum = sum_of(report, row);
        Json *one = sum.items > 0 ? json_new_object() : NULL;

        if (one == NULL)
            continue;
        json_set_text(one, "name", row->name);
        json_set_number(one, "items", sum.items);
        json_set_number(one, "bytes", (int64_t)sum.bytes);
        json_append(operations, one);
    }
    for (unsigned i = 0; i < report->items->len; i++) {
        const SealItem *item = report->items->pdata[i];
        g_autofree char *path = cli_safe(item->path);
        Json *one = json_new_object();

        json_set_text(one, "operation", item->row->name);
        json_set_text(one, "path", path);
        json_set_number(one, "bytes", (int64_t)item->bytes);
        json_append(items, one);
    }
    for (unsigned i = 0; i < report->notes->len; i++)
        json_append_text(notes, report->notes->pdata[i]);
    json_set_text(json, "disk", work->name);
    json_set_number(json, "bytes", (int64_t)sum_of(report, NULL).bytes);
    json_set_number(json, "size_before", (int64_t)blocks_of(&work->before));
    json_set_number(json, "size", (int64_t)size_now(work));
    json_set(json, "operations", operations);
    json_set(json, "items", items);
    json_set(json, "notes", notes);
    return json;
}

static void
print_json(const WorkCopy *works, const SealReport *reports, unsigned n)
{
    g_autoptr(Json) json = json_new_object();
    Json *guests = json_new_array();
    g_autofree char *text = NULL;

    for (unsigned i = 0; i < n; i++)
        json_append(guests, report_to_json(&works[i], &reports[i]));
    json_set_flag(json, "dry_run", option_dry_run);
    json_set(json, "guests", guests);
    text = json_print(json);
    fputs(text, stdout);
}

static char **
row_new(const char *first, char *second, char *third)
{
    char **cells = g_new0(char *, 4);

    cells[0] = g_strdup(first);
    cells[1] = second;
    cells[2] = third;
    return cells;
}

/* A dry run shows each file, since that is what it is for; else each operation. */
static void
print_table(const SealReport *report)
{
    static const char *const SUMS[] = {"OPERATION", "ITEMS", "SIZE", NULL};
    static const char *const ITEMS[] = {"OPERATION", "SIZE", "PATH", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

    for (const SealRow *row = seal_rows(); row->name != NULL && !option_dry_run; row++) {
        Sum sum = sum_of(report, row);

        if (sum.items > 0)
            g_ptr_array_add(rows,
                            row_new(row->name, g_strdup_printf("%u", sum.items), cli_format_size(sum.bytes)));
    }
    for (unsigned i = 0; i < report->items->len && option_dry_run; i++) {
        const SealItem *item = report->items->pdata[i];

        g_ptr_array_add(rows, row_new(item->row->name, cli_format_size(item->bytes), g_strdup(item->path)));
    }
    cli_print_table(option_dry_run ? ITEMS : SUMS, rows);
}

static void
print_text(const WorkCopy *work, const SealReport *report)
{
    Sum sum = sum_of(report, NULL);
    g_autofree char *freed = cli_format_size(sum.bytes);
    g_autofree char *before = cli_format_size(blocks_of(&work->before));
    g_autofree char *now = cli_format_size(size_now(work));
    g_autofree char *name = cli_safe(work->name);

    print_table(report);
    if (option_dry_run)
        printf("%s: %u items with %s would go\n", name, sum.items, freed);
    else
        printf("%s: %u items with %s are gone; the file takes %s, it was %s\n", name, sum.items, freed, now,
               before);
}

static void
tell_password(unsigned number, const char *user, const char *password, void *context)
{
    const WorkCopy *works = context;

    cli_note("%s: the random password of %s is %s", works[number].name, user, password);
}

/* ---- the work ---- */

static void
tell(const WorkCopy *works, const SealReport *reports, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < reports[i].notes->len; j++)
            cli_warn("%s: %s", works[i].name, (const char *)reports[i].notes->pdata[j]);
    if (option_json)
        print_json(works, reports, n);
    for (unsigned i = 0; i < n && !option_json; i++)
        print_text(&works[i], &reports[i]);
}

static bool
seal(WorkCopy *works, SealReport *reports, unsigned n, const SealJob *job, GError **error)
{
    g_autofree VisitDisk *disks = g_new0(VisitDisk, n);
    g_autofree char *reason = NULL;
    g_autoptr(Progress) progress = NULL;
    bool is_ok;

    for (unsigned i = 0; i < n; i++) {
        WorkMode mode = option_dry_run ? WORK_READ_ONLY : option_in_place ? WORK_IN_PLACE : WORK_COPY;

        if (!work_copy_open(option_disks[i], option_format, mode, &works[i], error))
            return false;
        disks[i] = (VisitDisk){works[i].path, works[i].format, works[i].name};
    }
    progress = progress_new("seal", n);
    is_ok = seal_disks(disks, n, job, reports, progress, &reason, error);
    if (reason != NULL)
        cli_warn("%s", reason);
    for (unsigned i = 0; i < n && is_ok; i++)
        is_ok = work_copy_publish(&works[i], error);
    g_clear_pointer(&progress, progress_free);
    if (is_ok)
        tell(works, reports, n);
    return is_ok;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
    unsigned n = option_disks != NULL ? g_strv_length(option_disks) : 0;
    g_autofree WorkCopy *works = g_new0(WorkCopy, n + 1);
    g_autofree SealReport *reports = g_new0(SealReport, n + 1);
    g_autoptr(GuestOps) ops = guest_options_take();
    g_auto(GStrv) keep = names_of(option_keep), remove = names_of(option_remove);
    SealJob job = {.ops = ops,
                   .keep_accounts = (const char *const *)keep,
                   .remove_accounts = (const char *const *)remove,
                   .tell_password = tell_password,
                   .context = works};
    bool is_ok;

    if (option_list) {
        option_json ? list_as_json() : list_as_text();
        return true;
    }
    for (unsigned i = 0; i < n; i++)
        works[i] = (WorkCopy)WORK_COPY_NONE;
    is_ok = read_job(&job, error) && seal(works, reports, n, &job, error);
    for (unsigned i = 0; i < n; i++) {
        work_copy_clear(&works[i]);
        seal_report_clear(&reports[i]);
    }
    return is_ok;
}

const Verb GUEST_VERB_SEAL = {
    .name = "seal",
    .arguments = "",
    .summary = "Take out of a guest's disk what no two clones may share",
    .description = "Does what virt-sysprep does, by the same names, and what that forgets: the machine id is "
                   "emptied last, SSH host\n"
                   "keys are made anew at the first boot, and the image shrinks. The disk is as it was until "
                   "all is done. Options of\n"
                   "virt-customize are carried out after the rest.",
    .options = OPTIONS,
    .more_options = guest_option_entries,
    .min_arguments = 0,
    .max_arguments = 0,
    .run = run,
};
