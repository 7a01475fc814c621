// SPDX-License-Identifier: Apache-2.0
/* virt-depot build: virt-builder's command line. Operations on the guest are options.c's. */
#include "base/json.h"
#include "guest/build.h"
#include "guest/build_modes.h"

#include <stdio.h>
#include <string.h>

typedef enum {
    MODE_BUILD,
    MODE_LIST,
    MODE_NOTES,
    MODE_PRINT_CACHE,
    MODE_CACHE_ALL,
    MODE_DELETE_CACHE,
    MODE_KERNEL,
} Mode;

static char *option_accel, *option_arch, *option_cache, *option_crypto, *option_curl, *option_format,
    *option_gpg, *option_list_format, *option_output, *option_size;
static char **option_fingerprints, **option_sources;
static int option_memory, option_cpus;
static gboolean option_list, option_long, option_notes, option_print_cache, option_cache_all,
    option_delete_cache, option_kernel, option_no_cache, option_no_check, option_check, option_no_delete,
    option_no_network, option_no_relabel, option_network, option_no_sync, option_may_be_partition,
    option_plain, option_force, option_dry_run, option_json, option_verbose, option_trace, option_version,
    option_flag_ignored;
static bool is_machine_readable;
static char *machine_readable_where;

static gboolean
take_machine_readable(const char *option G_GNUC_UNUSED, const char *value, gpointer data G_GNUC_UNUSED,
                      GError **error G_GNUC_UNUSED)
{
    is_machine_readable = true;
    machine_readable_where = g_strdup(value);
    return TRUE;
}

/* A disk for programs of the guest: the format that was said last counts for those that follow. */
typedef struct {
    char *path, *format; /* @format NULL: as its header says */
} Attached;

static GArray *attached; /* (element-type Attached) (nullable) */
static char *attach_format;

static gboolean
take_attached(const char *option, const char *value, gpointer data G_GNUC_UNUSED,
              GError **error G_GNUC_UNUSED)
{
    Attached one = {g_strdup(value), g_strdup(attach_format)};

    if (g_str_has_suffix(option, "-format")) {
        g_clear_pointer(&one.path, g_free);
        g_clear_pointer(&one.format, g_free);
        g_free(attach_format);
        attach_format = strcmp(value, "auto") == 0 ? NULL : g_strdup(value);
        return TRUE;
    }
    if (attached == NULL)
        attached = g_array_new(FALSE, FALSE, sizeof one);
    g_array_append_val(attached, one);
    return TRUE;
}

#define HIDDEN G_OPTION_FLAG_HIDDEN

static const GOptionEntry OPTIONS[] = {
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &option_output,
     "File, block device or - for standard output (default: IMAGE.img or IMAGE.qcow2)", "FILE"},
    {"format", 0, 0, G_OPTION_ARG_STRING, &option_format, "raw (default) or qcow2", "FORMAT"},
    {"size", 0, 0, G_OPTION_ARG_STRING, &option_size, "Grow disk and file system to SIZE", "SIZE"},
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture (default: this host's)", "ARCH"},
    {"force", 0, 0, G_OPTION_ARG_NONE, &option_force, "Replace a file, overwrite a device that is not empty",
     NULL},
    {"no-customize", 0, 0, G_OPTION_ARG_NONE, &option_plain,
     "Leave the guest as it was published, root password and all", NULL},
    {"list", 'l', 0, G_OPTION_ARG_NONE, &option_list, "List what the sources offer, or IMAGE alone", NULL},
    {"long", 0, 0, G_OPTION_ARG_NONE, &option_long, "With --list: all there is to say", NULL},
    {"list-format", 0, 0, G_OPTION_ARG_STRING, &option_list_format, "With --list: short, long or json",
     "FORMAT"},
    {"notes", 0, 0, G_OPTION_ARG_NONE, &option_notes, "Print the notes on IMAGE", NULL},
    {"get-kernel", 0, 0, G_OPTION_ARG_NONE, &option_kernel,
     "Copy kernel and initial RAM disk out of the disk file IMAGE, to the folder --output", NULL},
    {"source", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_sources,
     "A repository, before those that were added (more than one may be given)", "URL"},
    {"fingerprint", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_fingerprints,
     "The key that signs the source; one for all, or one for each", "FINGERPRINT"},
    {"no-check-signature", 0, 0, G_OPTION_ARG_NONE, &option_no_check,
     "Look at no signature of any source: whoever answers decides what is installed", NULL},
    {"check-signature", 0, 0, G_OPTION_ARG_NONE, &option_check, "The default", NULL},
    {"cache", 0, 0, G_OPTION_ARG_FILENAME, &option_cache, "Cache of images", "DIR"},
    {"no-cache", 0, 0, G_OPTION_ARG_NONE, &option_no_cache,
     "Keep no image in the cache, nor take one from it", NULL},
    {"print-cache", 0, 0, G_OPTION_ARG_NONE, &option_print_cache, "List which images are in the cache", NULL},
    {"cache-all-templates", 0, 0, G_OPTION_ARG_NONE, &option_cache_all, "Pull every image into the cache",
     NULL},
    {"delete-cache", 0, 0, G_OPTION_ARG_NONE, &option_delete_cache,
     "Remove every image that no VM needs from the cache", NULL},
    {"accel", 0, 0, G_OPTION_ARG_STRING, &option_accel, "auto, kvm or tcg", "ACCEL"},
    {"memsize", 'm', 0, G_OPTION_ARG_INT, &option_memory, "Memory for what runs in the guest now, in MiB",
     "MB"},
    {"smp", 0, 0, G_OPTION_ARG_INT, &option_cpus, "CPUs for it", "N"},
    {"network", 0, 0, G_OPTION_ARG_NONE, &option_network, "Let it use the network (the default)", NULL},
    {"no-network", 0, 0, G_OPTION_ARG_NONE, &option_no_network, "Keep it off the network", NULL},
    {"attach", 0, G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, (gpointer)take_attached,
     "A disk file that programs of the guest may read (more than one may be given)", "FILE"},
    {"attach-format", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)take_attached,
     "Of the --attach options that follow: raw, qcow2 or auto (default)", "FORMAT"},
    {"no-sync", 0, 0, G_OPTION_ARG_NONE, &option_no_sync, "Do not wait until all is on the disk", NULL},
    {"no-delete-on-failure", 0, 0, G_OPTION_ARG_NONE, &option_no_delete,
     "Keep a disk that could not be finished", NULL},
    {"no-warn-if-partition", 0, 0, G_OPTION_ARG_NONE, &option_may_be_partition,
     "No warning where the output is a partition", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be built; make nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"machine-readable", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK,
     (gpointer)take_machine_readable, "Print what this program can do, for scripts", "WHERE"},
    {"verbose", 'v', 0, G_OPTION_ARG_NONE, &option_verbose, "Show what the appliance says", NULL},
    {"version", 'V', 0, G_OPTION_ARG_NONE, &option_version, "Print the version", NULL},
    /* Of virt-builder's command line, and without a meaning here. */
    {"trace", 'x', HIDDEN, G_OPTION_ARG_NONE, &option_trace, "Trace libguestfs calls", NULL},
    {"check-signatures", 0, HIDDEN, G_OPTION_ARG_NONE, &option_check, NULL, NULL},
    {"no-check-signatures", 0, HIDDEN, G_OPTION_ARG_NONE, &option_no_check, NULL, NULL},
    {"curl", 0, HIDDEN, G_OPTION_ARG_STRING, &option_curl, NULL, "PROGRAM"},
    {"gpg", 0, HIDDEN, G_OPTION_ARG_STRING, &option_gpg, NULL, "PROGRAM"},
    {"password-crypto", 0, HIDDEN, G_OPTION_ARG_STRING, &option_crypto, NULL, "SCHEME"},
    {"no-selinux-relabel", 0, HIDDEN, G_OPTION_ARG_NONE, &option_no_relabel, NULL, NULL},
    {"selinux-relabel", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    {"no-logfile", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    {"color", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    {"colour", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    {"colors", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    {"colours", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    {"wrap", 0, HIDDEN, G_OPTION_ARG_NONE, &option_flag_ignored, NULL, NULL},
    G_OPTION_ENTRY_NULL,
};

/* ---- what the command line asks for ---- */

static bool
choose_mode(Mode *out_mode, GError **error)
{
    const struct {
        gboolean is_asked;
        Mode mode;
    } MODES[] = {{option_list, MODE_LIST},
                 {option_notes, MODE_NOTES},
                 {option_print_cache, MODE_PRINT_CACHE},
                 {option_cache_all, MODE_CACHE_ALL},
                 {option_delete_cache, MODE_DELETE_CACHE},
                 {option_kernel, MODE_KERNEL}};
    unsigned n = 0;

    *out_mode = MODE_BUILD;
    for (unsigned i = 0; i < G_N_ELEMENTS(MODES); i++)
        if (MODES[i].is_asked) {
            *out_mode = MODES[i].mode;
            n++;
        }
    return n <= 1 ||
           error_set_code(error, BASE_ERROR_USAGE,
                          "only one of --list, --notes, --print-cache, --cache-all-templates, --delete-cache "
                          "and --get-kernel is possible");
}

static bool
check_arguments(Mode mode, int argc, GError **error)
{
    bool takes_one = mode == MODE_BUILD || mode == MODE_NOTES || mode == MODE_KERNEL;

    if (takes_one && argc == 0)
        return error_set_code(error, BASE_ERROR_USAGE,
                              mode == MODE_KERNEL ? "--get-kernel: which disk file?"
                                                  : "which image? --list shows those that there are");
    if (!takes_one && mode != MODE_LIST && argc > 0)
        return error_set_code(error, BASE_ERROR_USAGE, "no image goes with what the options ask for");
    if (option_memory < 0 || option_cpus < 0)
        return error_set_code(error, BASE_ERROR_USAGE, "--memsize and --smp: more than 0 is expected");
    if (option_json && mode != MODE_BUILD)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--json goes with a build; --list has --list-format json");
    return !option_json || g_strcmp0(option_output, "-") != 0 || option_dry_run ||
           error_set_code(error, BASE_ERROR_USAGE,
                          "--json and '--output -' cannot both write to standard output");
}

/* Before any folder or handle is looked at. */
static void
apply_environment(void)
{
    if (option_cache != NULL) {
        g_autofree char *absolute = g_canonicalize_filename(option_cache, NULL);

        g_setenv("VIRT_DEPOT_CACHE", absolute, TRUE);
    }
    if (option_verbose)
        g_setenv("LIBGUESTFS_DEBUG", "1", TRUE);
    if (option_trace)
        g_setenv("LIBGUESTFS_TRACE", "1", TRUE);
    if (option_curl != NULL)
        cli_warn("--curl is ignored: virt-depot downloads by itself");
    if (option_gpg != NULL)
        cli_warn("--gpg is ignored: virt-depot verifies by itself");
    if (option_crypto != NULL)
        cli_warn("--password-crypto is ignored: passwords are hashed as well as the guest can read");
    if (option_no_relabel)
        cli_warn("--no-selinux-relabel is ignored: a guest with SELinux could not read its new files");
}

#define MAX_ATTACHED 8u

/* @out_disks: MAX_ATTACHED of them */
static bool
read_attached(GuestAttached *out_disks, unsigned *out_n, GError **error)
{
    unsigned n = attached == NULL ? 0 : attached->len;

    if (n > MAX_ATTACHED)
        return error_set_code(error, BASE_ERROR_USAGE, "--attach: at most %u disks are possible",
                              MAX_ATTACHED);
    for (unsigned i = 0; i < n; i++) {
        const Attached *one = &g_array_index(attached, Attached, i);

        out_disks[i].path = one->path;
        if (!build_mode_disk_format(one->path, one->format, &out_disks[i].format, error))
            return false;
    }
    *out_n = n;
    return true;
}

static bool
fill_run(GuestRun *run, GError **error)
{
    *run = (GuestRun){.memory_mb = (unsigned)option_memory,
                      .cpus = (unsigned)option_cpus,
                      .has_network = option_network || !option_no_network};
    return option_accel == NULL || guest_accel_parse(option_accel, &run->accel, error);
}

/* ---- building ---- */

typedef struct {
    Json *passwords; /* made up for users of the guest */
    FILE *to;        /* whom to tell of them */
} Told;

static void
tell_password(unsigned number G_GNUC_UNUSED, const char *user, const char *password, void *context)
{
    Told *told = context;

    json_set_text(told->passwords, user, password);
    if (told->to != NULL)
        fprintf(told->to, "Setting random password of %s to %s\n", user, password);
}

/* @passwords: (transfer full) */
static void
print_json(const BuildResult *result, Json *passwords)
{
    g_autoptr(Json) json = json_new_object();
    g_autofree char *text = NULL;

    json_set_text(json, "image", result->image);
    json_set_text(json, "uri", result->uri);
    json_set_count(json, "revision", result->revision);
    json_set_text(json, "path", result->path);
    json_set_text(json, "format", disk_format_name(result->format));
    json_set_count(json, "size", result->virtual_size);
    json_set(json, "passwords", passwords);
    text = json_print(json);
    fputs(text, stdout);
}

static void
print_result(const BuildResult *result)
{
    g_autofree char *size =
        result->virtual_size == 0 ? g_strdup("the image's size") : cli_format_size(result->virtual_size);

    if (option_dry_run)
        printf("%s: would become %s, %s, %s, from %s\n", result->image, result->path,
               disk_format_name(result->format), size, result->uri);
    else if (strcmp(result->path, "-") != 0)
        puts(result->path);
}

static bool
build(const char *image, const FetchSources *sources, GuestRun *run, GuestOps *ops, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(Json) passwords = json_new_object();
    bool is_stream = g_strcmp0(option_output, "-") == 0;
    Told told = {passwords, option_json ? NULL : is_stream ? stderr : stdout};
    BuildRequest request = {.sources = *sources,
                            .image = image,
                            .arch = option_arch,
                            .format = option_format,
                            .output = option_output,
                            .ops = ops,
                            .is_plain = option_plain,
                            .may_replace = option_force,
                            .has_cache = !option_no_cache,
                            .keeps_failed = option_no_delete,
                            .is_unsynced = option_no_sync,
                            .may_be_partition = option_may_be_partition,
                            .is_dry_run = option_dry_run,
                            .run = *run};
    g_auto(BuildResult) result = {0};
    GuestAttached disks[MAX_ATTACHED];
    bool is_ok;

    if (option_plain && !guest_ops_is_empty(ops))
        return error_set_code(error, BASE_ERROR_USAGE, "--no-customize excludes operations on the guest");
    if (option_size != NULL && !cli_parse_size(option_size, &request.size_bytes, error))
        return false;
    if (!read_attached(disks, &request.run.n_attached, error))
        return false;
    request.run.attached = disks;
    request.run.tell_password = tell_password;
    request.run.context = &told;
    is_ok = build_image(&request, &result, warnings, error);
    build_mode_warn(warnings);
    if (is_ok && option_json)
        print_json(&result, g_steal_pointer(&passwords));
    else if (is_ok)
        print_result(&result);
    return is_ok;
}

static bool
run_mode(Mode mode, const char *image, const FetchSources *sources, GError **error)
{
    g_autoptr(GuestOps) ops = guest_options_take();
    KernelRequest kernel = {
        .disk = image, .folder = option_output == NULL ? "." : option_output, .may_replace = option_force};
    BuildListFormat format = option_long ? BUILD_LIST_LONG : BUILD_LIST_SHORT;
    GuestRun run;

    if (!fill_run(&run, error) ||
        (option_list_format != NULL && !build_list_format_parse(option_list_format, &format, error)))
        return false;
    switch (mode) {
    case MODE_BUILD:
        return build(image, sources, &run, ops, error);
    case MODE_LIST:
        return build_mode_list(sources, image, option_arch, format, error);
    case MODE_NOTES:
        return build_mode_notes(sources, image, option_arch, error);
    case MODE_PRINT_CACHE:
        return build_mode_print_cache(sources, !option_no_cache, error);
    case MODE_CACHE_ALL:
        return build_mode_cache_all(sources, error);
    case MODE_DELETE_CACHE:
        return build_mode_delete_cache(error);
    case MODE_KERNEL:
        return build_mode_kernel(&kernel, option_format, &run, error);
    }
    g_assert_not_reached();
}

static bool
run_build(int argc, char **argv, GError **error)
{
    const FetchSources sources = {.uris = (const char *const *)option_sources,
                                  .fingerprints = (const char *const *)option_fingerprints,
                                  .is_unsigned = option_no_check && !option_check};
    Mode mode;

    if (option_version) {
        puts("virt-depot " VD_VERSION);
        return true;
    }
    if (is_machine_readable && argc == 0)
        return build_mode_features(machine_readable_where, error);
    if (!choose_mode(&mode, error) || !check_arguments(mode, argc, error))
        return false;
    apply_environment();
    if (sources.is_unsigned)
        cli_warn("no signature is verified: whoever answers for a source decides what is installed");
    return run_mode(mode, argc > 0 ? argv[0] : NULL, &sources, error);
}

const Verb GUEST_VERB_BUILD = {
    .name = "build",
    .arguments = "[IMAGE]",
    .summary = "Make a disk of an image, customized, as virt-builder does",
    .description = "Takes virt-builder's options. Operations on the guest are carried out in the order "
                   "given. Root gets a "
                   "random\npassword, which is printed, unless the options say which.",
    .options = OPTIONS,
    .more_options = guest_option_entries,
    .max_arguments = 1,
    .run = run_build,
};
