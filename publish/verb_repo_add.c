// SPDX-License-Identifier: Apache-2.0
/*
 * virt-depot repo add: one image into a repository. The long work (inspecting, compressing) is done beside
 * the repository's lock, so that several images can be added at once; only signing and switching are done
 * under it.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/pool.h"
#include "publish/entry.h"
#include "publish/image.h"
#include "publish/publish.h"
#include "publish/repo.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>

#define MAX_NOTES (64u << 10) /* of --notes-file; the longest in the public indexes is 3 KB */
#define MAX_THREADS 256

static char *option_name, *option_title, *option_osinfo, *option_arch, *option_notes, *option_notes_file;
static char *option_expand, *option_lvexpand, *option_accel;
static gint64 option_revision;
static int option_threads, option_valid_days = (int)PUBLISH_VALID_DAYS;
static gboolean option_hidden, option_no_inspect, option_json, option_dry_run;

static const GOptionEntry OPTIONS[] = {
    {"name", 0, 0, G_OPTION_ARG_STRING, &option_name, "What users call the image (needed)", "NAME"},
    {"title", 0, 0, G_OPTION_ARG_STRING, &option_title, "One line that describes it", "TEXT"},
    {"osinfo", 0, 0, G_OPTION_ARG_STRING, &option_osinfo, "libosinfo's short id, such as debian12", "ID"},
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture, such as x86_64", "ARCH"},
    {"revision", 0, 0, G_OPTION_ARG_INT64, &option_revision, "Revision, instead of the next one", "N"},
    {"notes", 0, 0, G_OPTION_ARG_STRING, &option_notes, "What users should know", "TEXT"},
    {"notes-file", 0, 0, G_OPTION_ARG_FILENAME, &option_notes_file, "The same from a file", "FILE"},
    {"expand", 0, 0, G_OPTION_ARG_STRING, &option_expand, "Partition that grows with the disk", "DEVICE"},
    {"lvexpand", 0, 0, G_OPTION_ARG_STRING, &option_lvexpand, "Logical volume that grows after it", "DEVICE"},
    {"hidden", 0, 0, G_OPTION_ARG_NONE, &option_hidden, "Do not show the image in lists", NULL},
    {"no-inspect", 0, 0, G_OPTION_ARG_NONE, &option_no_inspect, "Do not look inside (needs --arch)", NULL},
    {"accel", 0, 0, G_OPTION_ARG_STRING, &option_accel, "auto (default), kvm or tcg, for looking inside",
     "ACCEL"},
    {"threads", 0, 0, G_OPTION_ARG_INT, &option_threads, "Threads that compress (default: one per CPU)", "N"},
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days, "How long the signature holds (default: 14)",
     "DAYS"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Check everything and publish nothing", NULL},
    G_OPTION_ENTRY_NULL,
};

/* Job: everything that one run carries along. */
typedef struct {
    PublishWish wish;
    GuestAccel accel;
    unsigned threads;
    char *notes;
    PublishRepo *repo;
    PublishImage image;
    GuestInfo *guest;
} Job;

static void
job_clear(Job *job)
{
    g_free(job->notes);
    publish_repo_free(job->repo);
    publish_image_clear(&job->image);
    guest_info_free(job->guest);
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
    job->wish.notes = job->notes;
    return true;
}

static bool
check_options(Job *job, GError **error)
{
    if (option_name == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--name is needed");
    if (!index_is_name(option_name))
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "--name: '%s' is no image name: letters, digits, '-', '_' and '.', and neither '-' "
            "nor '.' in front",
            option_name);
    if (option_arch != NULL && !index_is_name(option_arch))
        return error_set_code(error, BASE_ERROR_USAGE, "--arch: '%s' is no architecture", option_arch);
    if (option_no_inspect && option_arch == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--no-inspect needs --arch");
    if (option_revision < 0)
        return error_set_code(error, BASE_ERROR_USAGE, "--revision: a number from 1 is expected");
    if (!show_check_valid_days(option_valid_days, error))
        return false;
    if (option_threads < 0 || option_threads > MAX_THREADS)
        return error_set_code(error, BASE_ERROR_USAGE, "--threads: a number from 1 to %d is expected",
                              MAX_THREADS);
    if (!check_line("--title", option_title, error) || !check_line("--osinfo", option_osinfo, error) ||
        !check_line("--expand", option_expand, error) || !check_line("--lvexpand", option_lvexpand, error))
        return false;
    return guest_accel_parse(option_accel != NULL ? option_accel : "auto", &job->accel, error) &&
           read_notes(job, error);
}

static bool
parse_options(Job *job, GError **error)
{
    if (!check_options(job, error))
        return false;
    job->threads = option_threads != 0 ? (unsigned)option_threads : pool_default_threads();
    job->wish.name = option_name;
    job->wish.title = option_title;
    job->wish.osinfo = option_osinfo;
    job->wish.arch = option_arch;
    job->wish.expand = option_expand;
    job->wish.lvexpand = option_lvexpand;
    job->wish.revision = (uint64_t)option_revision;
    job->wish.is_hidden = option_hidden;
    return true;
}

static bool
inspect(Job *job, GError **error)
{
    g_autofree char *reason = NULL;

    if (option_no_inspect)
        return true;
    cli_note("looking inside %s", job->image.path);
    job->guest = guest_inspect(job->image.path, job->image.info.format, job->accel, &reason, error);
    if (reason != NULL)
        cli_warn("%s", reason);
    if (job->guest == NULL) {
        g_prefix_error(error,
                       "%s: cannot be inspected (--no-inspect publishes it all the same): ", job->image.path);
        return false;
    }
    return true;
}

static PublishFile
published_file(const Job *job, const char *file, const DiskXzResult *result)
{
    return (PublishFile){
        .file = file,
        .sha512 = result != NULL ? result->sha512 : NULL,
        .format = job->image.info.format,
        .virtual_size = job->image.info.virtual_size,
        .compressed_size = result != NULL ? result->compressed_size : 0,
    };
}

/* check_early: whatever can be refused is refused before the minutes of compressing. */
static IndexEntry *
check_early(Job *job, GError **error)
{
    g_autoptr(Index) index = publish_repo_read(job->repo, error);
    PublishFile file = published_file(job, "blobs/", NULL);

    return index != NULL ? publish_entry_new(index, &job->wish, job->guest, &file, error) : NULL;
}

static bool
compress(Job *job, StoreUpload *upload, DiskXzResult *out_result, GError **error)
{
    g_autofree char *label = g_strdup_printf("compress %s", job->wish.name);
    g_autoptr(Progress) progress = NULL;
    DiskXzJob how = {.threads = job->threads};
    uint64_t size;

    if (!fd_size(job->image.fd, job->image.path, &size, error))
        return false;
    progress = progress_new(label, size);
    how.progress = progress;
    return disk_xz_compress(job->image.fd, job->image.path, upload->fd, store_location(job->repo->store),
                            &how, out_result, error) &&
           publish_image_check_unchanged(&job->image, error);
}

static void
print_entry(const Job *job, const Index *index, const IndexEntry *entry)
{
    g_autofree char *size = cli_format_size(entry->size);
    g_autofree char *download = cli_format_size(entry->compressed_size);

    if (option_json) {
        g_autoptr(Json) json = json_new_object();
        g_autofree char *text = NULL;

        json_set_text(json, "repository", store_location(job->repo->store));
        json_set_flag(json, "dry_run", option_dry_run);
        json_set_text(json, "name", entry->name);
        json_set_text(json, "arch", entry->arch);
        json_set_number(json, "revision", (int64_t)entry->revision);
        json_set_text(json, "title", entry->title);
        json_set_text(json, "osinfo", entry->osinfo);
        json_set_text(json, "format", entry->format);
        json_set_number(json, "size", (int64_t)entry->size);
        json_set_text(json, "expand", entry->expand);
        json_set_text(json, "lvexpand", entry->lvexpand);
        if (index != NULL) {
            json_set_number(json, "compressed_size", (int64_t)entry->compressed_size);
            json_set_text(json, "sha512", entry->sha512);
            json_set_text(json, "file", entry->file);
            json_set_number(json, "version", (int64_t)index->version);
            json_set_number(json, "expires", index->expires);
        }
        text = json_print(json);
        fputs(text, stdout);
    } else if (index != NULL) {
        printf("%s (%s) revision %" G_GUINT64_FORMAT ": %s, download %s, index version %" G_GUINT64_FORMAT
               "\n",
               entry->name, entry->arch, entry->revision, size, download, index->version);
    } else {
        printf("would publish %s (%s) revision %" G_GUINT64_FORMAT ": %s\n", entry->name, entry->arch,
               entry->revision, size);
    }
}

/* publish: under the lock, into the index as it is now. */
static bool
publish(Job *job, StoreUpload *upload, const DiskXzResult *result, GError **error)
{
    g_autoptr(Index) index = publish_repo_read(job->repo, error);
    g_autofree char *file = NULL;
    IndexEntry *entry;
    PublishFile published;

    if (index == NULL || !store_upload_finish(job->repo->store, upload, result->sha512, &file, error))
        return false;
    published = published_file(job, file, result);
    entry = publish_entry_new(index, &job->wish, job->guest, &published, error);
    if (entry == NULL)
        return false;
    publish_entry_put(index, entry);
    if (!publish_repo_write(job->repo, index, (unsigned)option_valid_days, error))
        return false;
    print_entry(job, index, entry);
    return true;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_auto(Job) job = {.image = PUBLISH_IMAGE_NONE};
    g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;
    g_auto(DiskXzResult) result = {0};
    g_autoptr(IndexEntry) early = NULL;

    if (option_json)
        progress_disable();
    if (!parse_options(&job, error))
        return false;
    job.repo = publish_repo_open(argv[0], error);
    if (job.repo == NULL || !publish_image_open(&job.image, argv[1], error) || !inspect(&job, error))
        return false;
    early = check_early(&job, error);
    if (early == NULL)
        return false;
    if (option_dry_run) {
        print_entry(&job, NULL, early);
        return true;
    }
    return store_upload_begin(job.repo->store, &upload, error) && compress(&job, &upload, &result, error) &&
           show_lock(job.repo, error) && publish(&job, &upload, &result, error);
}

const Verb PUBLISH_VERB_REPO_ADD = {
    .name = "repo add",
    .arguments = "DIR IMAGE",
    .summary = "Publish a disk image, or a new revision of one",
    .description = "IMAGE is a raw or qcow2 file that nothing writes to; it is only read.",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};
