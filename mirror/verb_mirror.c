// SPDX-License-Identifier: Apache-2.0
/* virt-depot mirror: a verified copy of a source. */
#include "base/json.h"
#include "mirror/mirror.h"
#include "mirror/run.h"
#include "net/net.h"

#include <stdio.h>

#define NOT_GIVEN G_MININT
#define GRACE "7d"
#define MAX_NEWEST 1000000
#define MIN_RATE (16u << 10) /* slower than that, a server's stall could not be told from the limit */

static int option_keep = NOT_GIVEN, option_newest = NOT_GIVEN;
static char *option_grace, *option_rate, *option_arch;
static char **option_images, **option_os_infos;
static gboolean option_json, option_dry_run, option_check, option_resign;

static const GOptionEntry OPTIONS[] = {
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Images for this architecture alone; signed anew",
     "ARCH"},
    {"check", 0, 0, G_OPTION_ARG_NONE, &option_check,
     "Read every file that is there, and fetch what is damaged", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run,
     "Say what would be fetched and removed, and do nothing", NULL},
    {"grace", 0, 0, G_OPTION_ARG_STRING, &option_grace,
     "Keep what the source has no more for so long (default: " GRACE ")", "AGE"},
    {"image", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_images,
     "Images whose name or alias matches, with * and ?; repeatable; signed anew", "PATTERN"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the report as JSON", NULL},
    {"keep", 0, 0, G_OPTION_ARG_INT, &option_keep,
     "Versions to keep at least (default: 2; with images of DIR's own: all)", "N"},
    {"limit-rate", 0, 0, G_OPTION_ARG_STRING, &option_rate, "Bytes per second at most, such as 10M", "SIZE"},
    {"newest", 0, 0, G_OPTION_ARG_INT, &option_newest,
     "Of each operating system the newest N versions alone; signed anew", "N"},
    {"os-info", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_os_infos,
     "Images whose osinfo matches, such as debian*; repeatable; signed anew", "PATTERN"},
    {"resign", 0, 0, G_OPTION_ARG_NONE, &option_resign, "All images, signed anew with the key of DIR", NULL},
    G_OPTION_ENTRY_NULL,
};

static Json *
sum_json(const MirrorSum *sum)
{
    Json *json = json_new_object();

    json_set_number(json, "files", sum->files);
    json_set_number(json, "bytes", (int64_t)sum->bytes);
    return json;
}

static void
print_json(const MirrorOptions *options, const MirrorReport *report, double seconds)
{
    g_autoptr(Json) json = json_new_object();
    const NetUsage usage = net_usage();
    Json *missing = json_new_array();
    g_autofree char *text = NULL;

    json_set_text(json, "source", options->source);
    json_set_text(json, "directory", options->dir);
    json_set_flag(json, "dry_run", options->is_dry);
    json_set_flag(json, "changed", report->is_changed);
    json_set_count(json, "version", report->version);
    json_set_count(json, "images", report->images);
    json_set(json, "fetched", sum_json(&report->fetched));
    json_set(json, "kept", sum_json(&report->kept));
    json_set(json, "removed", sum_json(&report->removed));
    json_set_number(json, "versions_removed", report->versions_removed);
    for (guint i = 0; i < report->missing->len; i++)
        json_append_text(missing, g_ptr_array_index(report->missing, i));
    json_set(json, "missing", missing);
    json_set_number(json, "requests", (int64_t)usage.requests);
    json_set_number(json, "bytes_received", (int64_t)usage.bytes);
    json_set_number(json, "milliseconds", (int64_t)(seconds * 1000));
    text = json_print(json);
    fputs(text, stdout);
}

static void
print_text(const MirrorOptions *options, const MirrorReport *report, double seconds)
{
    g_autofree char *fetched = cli_format_size(report->fetched.bytes),
                    *kept = cli_format_size(report->kept.bytes);
    g_autofree char *removed = cli_format_size(report->removed.bytes);
    const NetUsage usage = net_usage();
    g_autofree char *received = cli_format_size(usage.bytes);

    printf("%s: %s\n", options->dir,
           options->is_dry      ? "nothing was done"
           : report->is_unasked ? "nothing has changed"
           : report->is_changed ? "has a new version"
                                : "is up to date");
    printf("%s %u files (%s), %s %u (%s), %s %u (%s) and %u versions\n",
           options->is_dry ? "would fetch" : "fetched", report->fetched.files, fetched,
           options->is_dry ? "has" : "kept", report->kept.files, kept,
           options->is_dry ? "would remove" : "removed", report->removed.files, removed,
           report->versions_removed);
    printf("%" G_GUINT64_FORMAT " requests, %s received, %.1f s\n", usage.requests, received, seconds);
}

static void
tell_warnings(const MirrorReport *report)
{
    for (guint i = 0; i < report->warnings->len; i++)
        cli_warn("%s", (const char *)g_ptr_array_index(report->warnings, i));
    for (guint i = 0; i < report->missing->len; i++)
        cli_warn("missing: %s", (const char *)g_ptr_array_index(report->missing, i));
}

/* is_own: whether the copy is a repository of its own, made by `repo init`. */
static bool
is_own(void)
{
    return option_resign || option_images != NULL || option_os_infos != NULL || option_arch != NULL ||
           option_newest != NOT_GIVEN;
}

static bool
read_choice(MirrorChoice *choice, GError **error)
{
    if (option_newest != NOT_GIVEN && (option_newest < 1 || option_newest > MAX_NEWEST))
        return error_set_code(error, BASE_ERROR_USAGE, "--newest: a number from 1 to %d is expected",
                              MAX_NEWEST);
    choice->images = (const char *const *)option_images;
    choice->os_infos = (const char *const *)option_os_infos;
    choice->arch = option_arch != NULL ? index_normal_arch(option_arch) : NULL;
    choice->newest = option_newest != NOT_GIVEN ? (unsigned)option_newest : 0;
    return true;
}

static bool
read_options(MirrorOptions *options, GError **error)
{
    options->is_keep_asked = option_keep != NOT_GIVEN;
    options->keep = options->is_keep_asked ? (unsigned)MAX(option_keep, 0) : MIRROR_KEEP;
    if (options->keep < 1 || options->keep > MIRROR_MAX_KEEP)
        return error_set_code(error, BASE_ERROR_USAGE, "--keep: a number from 1 to %u is expected",
                              MIRROR_MAX_KEEP);
    if (!cli_parse_age(option_grace != NULL ? option_grace : GRACE, &options->grace, error)) {
        g_prefix_error(error, "--grace: ");
        return false;
    }
    if (option_rate != NULL && !cli_parse_size(option_rate, &options->max_rate, error)) {
        g_prefix_error(error, "--limit-rate: ");
        return false;
    }
    if (option_rate != NULL && options->max_rate < MIN_RATE)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--limit-rate: at least %u bytes per second are expected", MIN_RATE);
    options->want_digests = option_check;
    options->is_dry = option_dry_run;
    return read_choice(&options->choice, error);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    MirrorOptions options = {.source = argv[0], .dir = argv[1]};
    g_auto(MirrorReport) report = {.missing = g_ptr_array_new_with_free_func(g_free),
                                   .warnings = g_ptr_array_new_with_free_func(g_free)};
    const gint64 started = g_get_monotonic_time();
    bool is_ok;
    double seconds;

    if (!read_options(&options, error))
        return false;
    is_ok = (is_own() ? mirror_own : mirror_verbatim)(&options, &report, error);
    seconds = (double)(g_get_monotonic_time() - started) / G_USEC_PER_SEC;
    tell_warnings(&report);
    if (option_json && (is_ok || report.missing->len > 0))
        print_json(&options, &report, seconds);
    else if (is_ok)
        print_text(&options, &report, seconds);
    return is_ok;
}

const Verb MIRROR_VERB_MIRROR = {
    .name = "mirror",
    .arguments = "SOURCE DIR",
    .summary = "Keep a verified copy of a source in a folder",
    .description = "Run it again to bring the copy up to date: see virt-depot-mirror(1).",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};
