// SPDX-License-Identifier: Apache-2.0
/*
 * virt-depot repo add: images into a repository. The long work (inspecting, compressing) is done beside the repository's
 * lock, so that several runs can add at once; only signing and switching are done under it.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/pool.h"
#include "publish/add.h"
#include "publish/add_print.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>

#define MAX_NOTES (64u << 10) /* of --notes-file; the longest in the public indexes is 3 KB */
#define MAX_THREADS 256

static char *option_name, *option_title, *option_osinfo, *option_arch, *option_notes, *option_notes_file;
static char *option_expand, *option_lvexpand, *option_accel, *option_format;
static char *option_os, *option_os_version, *option_root, *option_root_fs, *option_firmware;
static gint64 option_revision;
static int option_threads, option_valid_days = (int)PUBLISH_VALID_DAYS, option_deltas = (int)PUBLISH_DELTAS;
static gboolean option_zstd, option_no_zstd;
static gboolean option_hidden, option_no_inspect, option_no_sbom, option_keep_going, option_json,
    option_dry_run;

static const GOptionEntry OPTIONS[] = {
    {"name", 0, 0, G_OPTION_ARG_STRING, &option_name, "What users call the image", "NAME"},
    {"title", 0, 0, G_OPTION_ARG_STRING, &option_title, "One line that describes it", "TEXT"},
    {"osinfo", 0, 0, G_OPTION_ARG_STRING, &option_osinfo, "libosinfo's short id, such as debian12", "ID"},
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture, such as x86_64", "ARCH"},
    {"revision", 0, 0, G_OPTION_ARG_INT64, &option_revision, "Revision, instead of the next one", "N"},
    {"notes", 0, 0, G_OPTION_ARG_STRING, &option_notes, "What users should know", "TEXT"},
    {"notes-file", 0, 0, G_OPTION_ARG_FILENAME, &option_notes_file, "The same from a file", "FILE"},
    {"expand", 0, 0, G_OPTION_ARG_STRING, &option_expand, "Partition that grows with the disk", "DEVICE"},
    {"lvexpand", 0, 0, G_OPTION_ARG_STRING, &option_lvexpand, "Logical volume that grows after it", "DEVICE"},
    {"os", 0, 0, G_OPTION_ARG_STRING, &option_os, "Operating system, such as debian", "ID"},
    {"os-version", 0, 0, G_OPTION_ARG_STRING, &option_os_version, "Its version, such as 12", "VERSION"},
    {"root", 0, 0, G_OPTION_ARG_STRING, &option_root, "Device of the root file system", "DEVICE"},
    {"root-fs", 0, 0, G_OPTION_ARG_STRING, &option_root_fs, "Its type, such as ext4", "TYPE"},
    {"firmware", 0, 0, G_OPTION_ARG_STRING, &option_firmware, "What it boots from: bios, uefi or bios,uefi",
     "LIST"},
    {"format", 0, 0, G_OPTION_ARG_STRING, &option_format,
     "Format of the images: raw, qcow2, vmdk, vhdx, vpc, vdi", "FORMAT"},
    {"hidden", 0, 0, G_OPTION_ARG_NONE, &option_hidden, "Do not show the image in lists", NULL},
    {"no-inspect", 0, 0, G_OPTION_ARG_NONE, &option_no_inspect, "Do not look inside (needs --arch)", NULL},
    {"no-sbom", 0, 0, G_OPTION_ARG_NONE, &option_no_sbom, "Publish no list of the packages inside", NULL},
    {"keep-going", 0, 0, G_OPTION_ARG_NONE, &option_keep_going,
     "Publish the good ones where some images are bad", NULL},
    {"accel", 0, 0, G_OPTION_ARG_STRING, &option_accel, "auto (default), kvm or tcg, for looking inside",
     "ACCEL"},
    {"threads", 0, 0, G_OPTION_ARG_INT, &option_threads, "Threads that compress (default: one per CPU)", "N"},
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days, "How long the signature holds (default: 14)",
     "DAYS"},
    {"deltas", 0, 0, G_OPTION_ARG_INT, &option_deltas,
     "Publish deltas from so many revisions before (default: 3; 0: none)", "N"},
    {"zstd", 0, 0, G_OPTION_ARG_NONE, &option_zstd,
     "Publish the images as zstd too, for clients with fast links (kept for later revisions)", NULL},
    {"no-zstd", 0, 0, G_OPTION_ARG_NONE, &option_no_zstd,
     "Publish no zstd, although the revision before had it", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Check everything and publish nothing", NULL},
    G_OPTION_ENTRY_NULL,
};

/* Job: everything that one run carries along. */
typedef struct {
    PublishAdd add;
    PublishWish wish; /* what all images have in common */
    char *notes;
    PublishRepo *repo;
    GPtrArray *items;
    Index *index;
} Job;

static void
job_clear(Job *job)
{
    g_free(job->notes);
    g_clear_pointer(&job->items, g_ptr_array_unref);
    index_free(job->index);
    publish_repo_free(job->repo);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

/* check_line: fields that are one line of the index. */
static bool
check_line(const char *option, const char *text, GError **error)
{
    if (text == NULL)
        return true;
    if (text[0] == '\0' || !g_utf8_validate(text, -1, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "%s: needs some text, in UTF-8", option);
    for (; *text != '\0'; text++) {
        if (g_ascii_iscntrl(*text))
            return error_set_code(error, BASE_ERROR_USAGE, "%s: control characters are not allowed", option);
    }
    return true;
}

static bool
read_notes(Job *job, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;

    if (option_notes != NULL && option_notes_file != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--notes and --notes-file exclude each other");
    if (option_notes_file != NULL) {
        bytes = file_read(option_notes_file, MAX_NOTES, error);
        if (bytes == NULL)
            return false;
        job->notes = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    } else {
        job->notes = g_strdup(option_notes);
    }
    if (job->notes != NULL && !g_utf8_validate(job->notes, -1, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "the notes are not UTF-8");
    return true;
}

static bool
check_lines(GError **error)
{
    const struct {
        const char *option, *text;
    } LINES[] = {
        {"--title", option_title},       {"--osinfo", option_osinfo},   {"--expand", option_expand},
        {"--lvexpand", option_lvexpand}, {"--os", option_os},           {"--os-version", option_os_version},
        {"--root", option_root},         {"--root-fs", option_root_fs},
    };
    static const char *const FIRMWARE[] = {"bios", "uefi", "bios,uefi", NULL};

    for (size_t i = 0; i < G_N_ELEMENTS(LINES); i++)
        if (!check_line(LINES[i].option, LINES[i].text, error))
            return false;
    if (option_firmware != NULL && !g_strv_contains(FIRMWARE, option_firmware))
        return error_set_code(error, BASE_ERROR_USAGE, "--firmware: '%s' is none of bios, uefi and bios,uefi",
                              option_firmware);
    return true;
}

static bool
check_options(Job *job, GError **error)
{
    if (option_arch != NULL && !index_is_name(option_arch))
        return error_set_code(error, BASE_ERROR_USAGE, "--arch: '%s' is no architecture", option_arch);
    if (option_no_inspect && option_arch == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--no-inspect needs --arch");
    if (option_revision < 0)
        return error_set_code(error, BASE_ERROR_USAGE, "--revision: a number from 1 is expected");
    if (option_valid_days < 1 || option_valid_days > (int)PUBLISH_MAX_VALID_DAYS)
        return error_set_code(error, BASE_ERROR_USAGE, "--valid-days: a number from 1 to %u is expected",
                              PUBLISH_MAX_VALID_DAYS);
    if (option_threads < 0 || option_threads > MAX_THREADS)
        return error_set_code(error, BASE_ERROR_USAGE, "--threads: a number from 1 to %d is expected",
                              MAX_THREADS);
    if (option_deltas < 0 || option_deltas > (int)PUBLISH_MAX_DELTAS)
        return error_set_code(error, BASE_ERROR_USAGE, "--deltas: a number from 0 to %u is expected",
                              PUBLISH_MAX_DELTAS);
    if (option_zstd && option_no_zstd)
        return error_set_code(error, BASE_ERROR_USAGE, "--zstd and --no-zstd exclude each other");
    return check_lines(error) &&
           guest_accel_parse(option_accel != NULL ? option_accel : "auto", &job->add.accel, error) &&
           (option_format == NULL || publish_input_parse(option_format, &job->add.input, error)) &&
           read_notes(job, error);
}

static void
read_options(Job *job)
{
    job->add.threads = option_threads != 0 ? (unsigned)option_threads : pool_default_threads();
    job->add.valid_days = (unsigned)option_valid_days;
    job->add.max_deltas = (unsigned)option_deltas;
    job->add.wants_twin = option_zstd;
    job->add.drops_twin = option_no_zstd;
    job->add.want_sbom = !option_no_sbom;
    job->add.keep_going = option_keep_going;
    job->wish = (PublishWish){.title = option_title,
                              .osinfo = option_osinfo,
                              .arch = option_arch,
                              .notes = job->notes,
                              .expand = option_expand,
                              .lvexpand = option_lvexpand,
                              .os = option_os,
                              .os_version = option_os_version,
                              .root = option_root,
                              .root_fs = option_root_fs,
                              .firmware = option_firmware,
                              .revision = (uint64_t)option_revision,
                              .is_hidden = option_hidden,
                              .drop_twin = option_no_zstd,
                              .drop_packages = option_no_sbom};
}

static bool
add_item(Job *job, const char *argument, bool is_one, GError **error)
{
    g_autofree char *name = NULL, *path = NULL;
    bool is_named = false;
    PublishItem *item;

    if (option_name != NULL) {
        name = g_strdup(option_name);
        path = g_strdup(argument);
    } else {
        publish_item_parse(argument, &name, &path, &is_named);
        if (!is_named && (is_one || g_str_equal(path, "-")))
            return error_set_code(error, BASE_ERROR_USAGE,
                                  "the image's name is missing: give --name, or NAME=%s", path);
    }
    if (!index_is_name(name))
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "%s'%s' is no image name: letters, digits, '-', '_' and '.', and neither '-' nor '.' in "
            "front%s",
            option_name != NULL ? "--name: " : "", name,
            option_name != NULL ? "" : "; give one as NAME=FILE");
    item = publish_item_new(name, path);
    item->wish = job->wish;
    item->wish.name = item->name;
    g_ptr_array_add(job->items, item);
    return true;
}

static bool
parse_images(Job *job, char **images, GError **error)
{
    unsigned n = g_strv_length(images), n_stdin = 0;

    job->items = g_ptr_array_new_with_free_func((GDestroyNotify)publish_item_free);
    job->add.items = job->items;
    if (n > 1 && (option_name != NULL || option_title != NULL || option_revision != 0))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--name, --title and --revision are for one image; name several as NAME=FILE");
    if (n > PUBLISH_MAX_IMAGES)
        return error_set_code(error, BASE_ERROR_USAGE, "%u images at once are too many: at most %u are taken",
                              n, PUBLISH_MAX_IMAGES);
    for (unsigned i = 0; i < n; i++) {
        if (!add_item(job, images[i], n == 1, error))
            return false;
        n_stdin += g_str_equal(((PublishItem *)g_ptr_array_index(job->items, i))->path, "-");
    }
    return n_stdin <= 1 ||
           error_set_code(error, BASE_ERROR_USAGE, "standard input can be one of the images only");
}

/*
 * settle: after a step: say what went wrong. One bad image stops the run before anything is published, unless --keep-going
 * says otherwise and some are left.
 */
static bool
settle(Job *job, GError **error)
{
    guint n = job->items->len, n_bad = 0;
    const GError *first = NULL;

    for (guint i = 0; i < n; i++) {
        PublishItem *item = g_ptr_array_index(job->items, i);

        if (item->error == NULL)
            continue;
        n_bad++;
        first = first != NULL ? first : item->error;
        if (n > 1 && !item->is_told)
            cli_warn("%s: %s", item->name, item->error->message);
        item->is_told = true;
    }
    if (n_bad == 0 || (option_keep_going && n_bad < n))
        return true;
    if (n == 1)
        g_propagate_error(error, g_error_copy(first));
    else
        error_set_code(error, (BaseError)first->code,
                       "%u of %u images cannot be published; nothing was published%s", n_bad, n,
                       n_bad < n ? " (--keep-going publishes the others)" : "");
    return false;
}

static bool
inspect(Job *job, GError **error)
{
    g_autofree char *reason = NULL;
    bool is_done;

    if (option_no_inspect)
        return true;
    if (job->items->len == 1)
        cli_note("looking inside %s", ((PublishItem *)g_ptr_array_index(job->items, 0))->image.path);
    else
        cli_note("looking inside %u images", job->items->len);
    is_done = publish_add_inspect(&job->add, &reason, error);
    if (reason != NULL)
        cli_warn("%s", reason);
    return is_done && settle(job, error);
}

static bool
check(Job *job, GError **error)
{
    g_autoptr(GPtrArray) notes = NULL;

    if (!publish_add_check(&job->add, &job->index, &notes, error) || !settle(job, error))
        return false;
    for (guint i = 0; i < notes->len; i++)
        cli_warn("%s", (const char *)g_ptr_array_index(notes, i));
    return true;
}

static bool
lock_store(Store *store, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (store_lock(store, false, &local))
        return true;
    if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_EXISTS)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    cli_note("%s; waiting for it", local->message);
    return store_lock(store, true, error);
}

/* publish: under the lock, into the index as it is now. */
static bool
publish(Job *job, GError **error)
{
    Index *index = NULL;

    if (!publish_add_compress(&job->add, error) || !settle(job, error) ||
        !lock_store(job->repo->store, error) || !publish_add_finish(&job->add, &index, error))
        return false;
    store_unlock(job->repo->store);
    index_free(job->index);
    job->index = index;
    return true;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_auto(Job) job = {0};
    guint n_bad = 0;

    if (option_json)
        progress_disable();
    if (!check_options(&job, error))
        return false;
    read_options(&job);
    if (!parse_images(&job, argv + 1, error))
        return false;
    job.repo = job.add.repo = publish_repo_open(argv[0], error);
    if (job.repo == NULL || !publish_add_open(&job.add, error) || !settle(&job, error) ||
        !inspect(&job, error) || !check(&job, error) || (!option_dry_run && !publish(&job, error)))
        return false;
    add_print(&job.add, job.index, option_dry_run, option_json);
    for (guint i = 0; i < job.items->len; i++)
        n_bad += ((PublishItem *)g_ptr_array_index(job.items, i))->error != NULL;
    return n_bad == 0 || error_set(error, "%u of %u images %s not published", n_bad, job.items->len,
                                   n_bad == 1 ? "was" : "were");
}

const Verb PUBLISH_VERB_REPO_ADD = {
    .name = "repo add",
    .arguments = "DIR [NAME=]IMAGE...",
    .summary = "Publish disk images, or new revisions of them",
    .description = "An IMAGE is a raw, qcow2, VMDK, VHDX, VPC or VDI file that nothing writes to, or \"-\" "
                   "for standard\n"
                   "input; it is only read. Several are published together, in one new version of the index.",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = -1,
    .run = run,
};
