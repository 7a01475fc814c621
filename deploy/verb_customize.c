// SPDX-License-Identifier: Apache-2.0
/* virt-depot customize: the command line, and what it prints. The work is guest/'s. */
#include "base/json.h"
#include "deploy/deploy.h"
#include "deploy/subject.h"

#include <stdio.h>

#define MAX_MEMORY_MB (1u << 20)
#define MAX_CPUS 255

static char **option_add, **option_domain;
static char *option_connect, *option_format, *option_accel;
static gboolean option_in_place, option_dry_run, option_json, option_no_network, option_network;
static int option_memsize, option_smp;

static const GOptionEntry OPTIONS[] = {
    {"add", 'a', 0, G_OPTION_ARG_FILENAME_ARRAY, &option_add, "A guest's disk; again for other guests",
     "FILE"},
    {"domain", 'd', 0, G_OPTION_ARG_STRING_ARRAY, &option_domain, "A libvirt domain that is shut off",
     "NAME"},
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &option_connect, "libvirt connection", "URI"},
    {"format", 0, 0, G_OPTION_ARG_STRING, &option_format, "raw, qcow2 or auto (default: by the header)",
     "FORMAT"},
    {"in-place", 0, 0, G_OPTION_ARG_NONE, &option_in_place, "Edit the disks themselves, not copies of them",
     NULL},
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &option_dry_run, "Print the plan; change nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    {"accel", 0, 0, G_OPTION_ARG_STRING, &option_accel, "auto, kvm or tcg", "ACCEL"},
    {"memsize", 'm', 0, G_OPTION_ARG_INT, &option_memsize, "Memory of the appliance in MiB", "MB"},
    {"smp", 0, 0, G_OPTION_ARG_INT, &option_smp, "Virtual CPUs of the appliance (default: 1)", "N"},
    {"network", 0, 0, G_OPTION_ARG_NONE, &option_network,
     "Programs of the guest may use the network (default)", NULL},
    {"no-network", 0, 0, G_OPTION_ARG_NONE, &option_no_network, "Programs of the guest have no network",
     NULL},
    G_OPTION_ENTRY_NULL,
};

/* What the command line names. */
typedef struct {
    GPtrArray *names;     /* (element-type utf8) the file, or the domain */
    GPtrArray *disks;     /* (element-type GuestDisk) one for each */
    GPtrArray *passwords; /* (element-type GStrv) of each guest, by turns user and password */
} Guests;

static void
guests_clear(Guests *guests)
{
    g_clear_pointer(&guests->names, g_ptr_array_unref);
    g_clear_pointer(&guests->disks, g_ptr_array_unref);
    g_clear_pointer(&guests->passwords, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Guests, guests_clear)

static void
add_guest(Guests *guests, const char *name, const char *path, const char *format)
{
    g_ptr_array_add(guests->names, g_strdup(name));
    g_ptr_array_add(guests->disks, guest_disk_new(path, format));
    g_ptr_array_add(guests->passwords, g_ptr_array_new_with_free_func(g_free));
}

static bool
add_domain(Guests *guests, const char *name, GError **error)
{
    g_auto(Subject) subject = {0};
    const GuestDisk *disk;

    if (!subject_of_domain(name, option_connect, true, &subject, error))
        return false;
    disk = g_ptr_array_index(subject.disks, 0);
    if (subject.disks->len > 1)
        cli_note("VM '%s' has %u disks: the first one, %s, is taken for that with its system", subject.label,
                 subject.disks->len, disk->path);
    add_guest(guests, subject.label, disk->path, disk->format);
    return true;
}

static bool
read_guests(Guests *guests, GError **error)
{
    guests->names = g_ptr_array_new_with_free_func(g_free);
    guests->disks = g_ptr_array_new_with_free_func((GDestroyNotify)guest_disk_free);
    guests->passwords = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    if (option_connect != NULL && option_domain == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--connect is of use with --domain alone");
    for (unsigned i = 0; option_add != NULL && option_add[i] != NULL; i++) {
        if (!guest_check_disk(option_add[i], option_format, error))
            return false;
        add_guest(guests, option_add[i], option_add[i], option_format);
    }
    for (unsigned i = 0; option_domain != NULL && option_domain[i] != NULL; i++)
        if (!add_domain(guests, option_domain[i], error))
            return false;
    return guests->names->len > 0 ||
           error_set_code(error, BASE_ERROR_USAGE, "no guest: give --add DISK or --domain NAME");
}

static bool
fill_run(GuestRun *run, GError **error)
{
    if (option_network && option_no_network)
        return error_set_code(error, BASE_ERROR_USAGE, "--network and --no-network exclude each other");
    if (option_memsize < 0 || option_memsize > (int)MAX_MEMORY_MB)
        return error_set_code(error, BASE_ERROR_USAGE, "--memsize: must be 1 to %u", MAX_MEMORY_MB);
    if (option_smp < 0 || option_smp > MAX_CPUS)
        return error_set_code(error, BASE_ERROR_USAGE, "--smp: must be 1 to %d", MAX_CPUS);
    run->memory_mb = (unsigned)option_memsize;
    run->cpus = (unsigned)option_smp;
    run->has_network = !option_no_network;
    return option_accel == NULL || guest_accel_parse(option_accel, &run->accel, error);
}

static void
keep_password(unsigned number, const char *user, const char *password, void *context)
{
    GPtrArray *list = g_ptr_array_index(((const Guests *)context)->passwords, number);

    g_ptr_array_add(list, g_strdup(user));
    g_ptr_array_add(list, g_strdup(password));
}

static Json *
json_operations(const GPtrArray *lines)
{
    Json *list = json_new_array();

    for (guint i = 0; i < lines->len; i++) {
        const GuestOpText *line = g_ptr_array_index(lines, i);
        Json *item = json_new_object();

        json_set_text(item, "operation", line->name);
        json_set_text(item, "argument", line->argument);
        json_set_text(item, "left_to_guest", line->left_to_guest);
        json_append(list, item);
    }
    return list;
}

static void
print_json(const Guests *guests, const GPtrArray *lines)
{
    g_autoptr(Json) list = json_new_array();
    g_autofree char *text = NULL;

    for (guint i = 0; i < guests->names->len; i++) {
        const GPtrArray *made = g_ptr_array_index(guests->passwords, i);
        const GuestDisk *disk = g_ptr_array_index(guests->disks, i);
        Json *item = json_new_object(), *passwords = json_new_object();

        json_set_text(item, "guest", g_ptr_array_index(guests->names, i));
        json_set_text(item, "disk", disk->path);
        json_set_text(item, "state", option_dry_run ? "planned" : "customized");
        json_set(item, "operations", json_operations(lines));
        for (guint j = 0; j < made->len; j += 2)
            json_set_text(passwords, g_ptr_array_index(made, j), g_ptr_array_index(made, j + 1));
        json_set(item, "random_passwords", passwords);
        json_append(list, item);
    }
    text = json_print(list);
    g_print("%s", text);
}

static void
print_plan(const Guests *guests, const GPtrArray *lines)
{
    for (guint i = 0; i < guests->names->len; i++) {
        g_autofree char *name = cli_safe(g_ptr_array_index(guests->names, i));

        printf("guest %s\n", name);
    }
    for (guint i = 0; i < lines->len; i++) {
        const GuestOpText *line = g_ptr_array_index(lines, i);
        g_autofree char *argument = line->argument != NULL ? cli_safe(line->argument) : g_strdup("");

        printf("  %s%s%s%s%s%s\n", line->name, argument[0] != '\0' ? " " : "", argument,
               line->left_to_guest != NULL ? " (" : "",
               line->left_to_guest != NULL ? line->left_to_guest : "",
               line->left_to_guest != NULL ? ")" : "");
    }
}

static void
print_passwords(const Guests *guests)
{
    for (guint i = 0; i < guests->names->len; i++) {
        const GPtrArray *made = g_ptr_array_index(guests->passwords, i);
        g_autofree char *name = cli_safe(g_ptr_array_index(guests->names, i));

        for (guint j = 0; j < made->len; j += 2)
            printf("%s password of %s: %s\n", (const char *)g_ptr_array_index(made, j), name,
                   (const char *)g_ptr_array_index(made, j + 1));
    }
}

static bool
customize(Guests *guests, const GuestOps *ops, GuestRun *run, GError **error)
{
    guint n = guests->names->len;
    g_autofree GuestEdit *edits = g_new0(GuestEdit, n);
    g_autofree const char **formats = g_new0(const char *, n);
    g_autoptr(Progress) progress = progress_new_count("customize", n);
    g_autofree char *reason = NULL;

    for (guint i = 0; i < n; i++) {
        const GuestDisk *disk = g_ptr_array_index(guests->disks, i);

        edits[i] = (GuestEdit){.path = disk->path, .label = g_ptr_array_index(guests->names, i), .ops = ops};
        formats[i] = disk->format;
    }
    run->progress = progress;
    run->tell_password = keep_password;
    run->context = guests;
    if (!guest_customize_disks(edits, formats, n, option_in_place, run, &reason, error))
        return false;
    if (reason != NULL)
        cli_warn("%s", reason);
    return true;
}

static bool
run_customize(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
    g_autoptr(GuestOps) ops = guest_options_take();
    g_autoptr(GPtrArray) lines = guest_ops_describe(ops);
    g_auto(Guests) guests = {0};
    GuestRun run = {0};

    if (guest_ops_is_empty(ops))
        return error_set_code(error, BASE_ERROR_USAGE, "nothing to do: give at least one operation");
    if (!fill_run(&run, error) || !read_guests(&guests, error))
        return false;
    if (!option_dry_run && !customize(&guests, ops, &run, error))
        return false;
    if (option_json)
        print_json(&guests, lines);
    else if (option_dry_run)
        print_plan(&guests, lines);
    else
        print_passwords(&guests);
    return true;
}

const Verb DEPLOY_VERB_CUSTOMIZE = {
    .name = "customize",
    .arguments = "",
    .summary = "Change what is in the disks of guests",
    .description =
        "Operations are carried out in the order given, passwords last; all guests share one appliance "
        "launch. Each disk is as it was until all of them are done.",
    .options = OPTIONS,
    .min_arguments = 0,
    .max_arguments = 0,
    .run = run_customize,
    .more_options = guest_option_entries,
};
