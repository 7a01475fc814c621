// SPDX-License-Identifier: Apache-2.0
/*
 * One image into the cache, under one lock: fetched by its manifest (blocks.c) or as a whole (whole.c), then checked, made
 * read-only and renamed into place. Killed anywhere it leaves partial work, with which the next pull goes on, and at most
 * one temporary image, which the next pull removes.
 */
#include "fetch/pull.h"

#include "base/file.h"
#include "fetch/heal.h"
#include "fetch/job.h"
#include "fetch/record.h"
#include "fetch/reuse.h"
#include "fetch/seal.h"
#include "fetch/turn.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    DiskFormat format;
    uint64_t size; /* virtual */
} ImageFacts;

static FetchImage *
new_image(const char *source, const IndexEntry *entry, const char *id, const char *path,
          const ImageFacts *facts)
{
    FetchImage *image = g_new0(FetchImage, 1);

    image->path = g_strdup(path);
    image->id = g_strdup(id);
    image->is_shared = !cache_is_own(path);
    image->format = facts->format;
    image->virtual_size = facts->size;
    image->source = g_strdup(source);
    image->entry = index_entry_copy(entry);
    image->entry->size = facts->size; /* now it is known, whoever did not state it */
    return image;
}

static bool require_strict;

void
fetch_set_strict(bool is_strict)
{
    require_strict = is_strict;
}

/* The signed index vouches for the bytes, not for their meaning: a backing file would be any file of this host. */
bool
pull_check_info(const IndexEntry *entry, const DiskInfo *info, GError **error)
{
    if (info->backing_file != NULL || info->has_data_file)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the image refers to another file, which is refused", entry->name);
    if (entry->format != NULL && strcmp(entry->format, disk_format_name(info->format)) != 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: the image is %s, but the index says %s",
                              entry->name, disk_format_name(info->format), entry->format);
    if (entry->size > 0 && info->virtual_size != entry->size)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the image has %" G_GUINT64_FORMAT
                              " bytes, but the index says %" G_GUINT64_FORMAT,
                              entry->name, info->virtual_size, entry->size);
    return true;
}

static bool
check_image(const IndexEntry *entry, int fd, ImageFacts *out_facts, GError **error)
{
    g_auto(DiskInfo) info = {0};

    if (!disk_probe(fd, entry->name, &info, error) || !pull_check_info(entry, &info, error))
        return false;
    *out_facts = (ImageFacts){.format = info.format, .size = info.virtual_size};
    return true;
}

/* What is in the cache but does not look like the entry (another source's claim, a damaged disk) counts as absent. */
FetchImage *
pull_cached(const char *source, const IndexEntry *entry)
{
    g_auto(CacheKey) key = {0};
    g_auto(Fd) fd = -1;
    DiskFormat named;
    ImageFacts facts;
    g_autofree char *path = cache_key_init(&key, entry, NULL) ? cache_find(&key, &named) : NULL;

    if (path != NULL)
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !check_image(entry, fd, &facts, NULL) || facts.format != named ||
        seal_check(key.id, path, fd) == SEAL_BROKEN)
        return NULL;
    return new_image(source, entry, key.id, path, &facts);
}

/* From a complete file to the image in place. */
static bool
publish(const Job *job, int fd, const char *temp, FetchImage **out_image, GError **error)
{
    g_autofree char *folder = cache_images_folder(), *path = NULL;
    ImageFacts facts;

    if (!check_image(job->entry, fd, &facts, error))
        return false;
    path = cache_image_path(&job->key, facts.format);
    if (fchmod(fd, 0444) < 0 || fsync(fd) < 0 || rename(temp, path) < 0)
        return error_set_errno(error, "%s: cannot be completed", path);
    if (!file_sync_dir(folder, error) || !seal_write(job->key.id, path, fd, error))
        return false;
    *out_image = new_image(job->catalogue->source->name, job->entry, job->key.id, path, &facts);
    return true;
}

/* Another try with the same bytes would end the same: they are not kept. @error must not be NULL. */
static void
forget_untrusted(const char *path, GError **error)
{
    if (g_error_matches(*error, BASE_ERROR, BASE_ERROR_UNTRUSTED))
        unlink(path);
}

/* @error must not be NULL. */
static FetchImage *
pull_whole(const Job *job, GError **error)
{
    g_autofree char *partial = cache_partial_path(&job->key), *temp = cache_temp_path(&job->key);
    g_autofree char *manifest = cache_local_manifest_path(&job->key);
    g_auto(Fd) fd = -1;
    FetchImage *image = NULL;

    fd = whole_fetch(job, temp, error);
    if (fd < 0 || !publish(job, fd, temp, &image, error)) {
        unlink(temp);
        forget_untrusted(partial, error);
        forget_untrusted(manifest, error);
        return NULL;
    }
    return image;
}

/* A partial image of which nothing is there yet is litter. @error must not be NULL. */
static JobResult
pull_blocks(const Job *job, FetchImage **out_image, GError **error)
{
    g_autoptr(DiskManifest) manifest = NULL;
    g_autofree char *path = cache_blocks_path(&job->key);
    g_auto(Fd) fd = -1;
    JobResult result = manifest_fetch(job, &manifest, error);
    struct stat status;

    if (result != JOB_DONE)
        return result;
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set_errno(error, "%s: cannot open", path);
        return JOB_FAILED;
    }
    result = reuse_fill(job, manifest, fd, path, error)
                 ? blocks_fetch(job, manifest, &(DiskTarget){.fd = fd, .name = path}, error)
                 : JOB_FAILED;
    if (result == JOB_DONE && !publish(job, fd, path, out_image, error)) {
        forget_untrusted(path, error);
        result = JOB_FAILED;
    } else if (result == JOB_NOT_SO || (fstat(fd, &status) == 0 && status.st_blocks == 0)) {
        unlink(path);
    }
    return result;
}

/* An image that was changed since it was verified is healed where it lies, as disks may have it as their base. Returns: whether
 * pull_cached() may find it now; without an error where only a new copy helps. */
static bool
heal_cached(const Job *job, GError **error)
{
    DiskFormat format;
    g_autofree char *path = cache_find(&job->key, &format);
    g_auto(Heal) heal = {0};

    if (path == NULL || !cache_is_own(path) || !heal_image(job, path, true, &heal, error))
        return false;
    if (heal.state == HEAL_HEALED)
        g_ptr_array_add(
            job->warnings,
            g_strdup_printf("%s: the image in the cache was damaged; %u of %u blocks were fetched anew",
                            job->entry->name, heal.bad, heal.blocks));
    if (heal.state == HEAL_DAMAGED && job->catalogue->is_offline)
        return error_set(error,
                         "%s: %u of %u blocks of the image in the cache are damaged; without --offline "
                         "they are fetched",
                         job->entry->name, heal.bad, heal.blocks);
    return heal.state == HEAL_GOOD || heal.state == HEAL_HEALED;
}

/* @error must not be NULL. */
static FetchImage *
pull_locked(const Job *job, GError **error)
{
    g_autofree char *partial = cache_partial_path(&job->key), *blocks = cache_blocks_path(&job->key);
    g_autofree char *delta = cache_delta_path(&job->key);
    g_autoptr(FetchImage) image = NULL;
    JobResult result = pull_blocks(job, &image, error);

    if (result == JOB_NOT_SO)
        image = pull_whole(job, error);
    /* What the other way left behind once is of no use any more. */
    if (image == NULL || !file_remove(partial, error) || !file_remove(blocks, error) ||
        !file_remove(delta, error))
        return NULL;
    return g_steal_pointer(&image);
}

static RecordOwner
owner_of(const Catalogue *catalogue)
{
    return (RecordOwner){.source = catalogue->source->name, .repo_id = catalogue->opened.index->repo_id};
}

bool
pull_check(const Catalogue *catalogue, const IndexEntry *entry, bool may_downgrade, GError **error)
{
    const RecordOwner owner = owner_of(catalogue);
    uint64_t highest;

    if (catalogue->refusal != NULL) {
        g_propagate_error(error, g_error_copy(catalogue->refusal));
        return false;
    }
    highest = may_downgrade ? 0 : record_revision(&owner, entry);
    if (entry->revision < highest)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s/%s: revision %" G_GUINT64_FORMAT
                              " is offered, but revision %" G_GUINT64_FORMAT
                              " was pulled before; 'virt-depot pull --allow-downgrade' takes the older one",
                              owner.source, entry->name, entry->revision, highest);
    return true;
}

bool
pull_record(const Catalogue *catalogue, const IndexEntry *entry, bool may_downgrade, GError **error)
{
    const RecordOwner owner = owner_of(catalogue);
    g_auto(CacheKey) key = {0};

    return cache_key_init(&key, entry, error) && record_write(&key, &owner, entry, error) &&
           (!may_downgrade || record_forget_above(&owner, entry, error));
}

FetchImage *
pull_entry(const Catalogue *catalogue, const IndexEntry *entry, const PullWish *wish, GPtrArray *warnings,
           GError **error)
{
    FetchCost cost = {0};
    g_auto(Job) job = {.catalogue = catalogue,
                       .entry = entry,
                       .is_strict = require_strict || catalogue->source->is_strict,
                       .codec = wish->codec,
                       .warnings = warnings,
                       .cost = &cost};
    g_auto(Turn) turn = {0};
    g_autoptr(FetchImage) image = NULL;

    if (!pull_check(catalogue, entry, wish->may_downgrade, error) ||
        !cache_key_init(&job.key, entry, error) || !cache_prepare(error))
        return NULL;
    image = pull_cached(catalogue->source->name, entry);
    if (image == NULL) {
        if (!cache_sweep(error) || !turn_take(&job.key, &turn, error))
            return NULL;
        image = pull_cached(catalogue->source->name, entry); /* another process was faster */
        if (image == NULL && heal_cached(&job, error))
            image = pull_cached(catalogue->source->name, entry);
        if (image == NULL && *error == NULL && catalogue->is_offline)
            error_set_code(error, BASE_ERROR_UNAVAILABLE,
                           "%s/%s: revision %" G_GUINT64_FORMAT
                           " is not in the cache, and with --offline nothing is fetched",
                           catalogue->source->name, entry->name, entry->revision);
        if (image == NULL && *error == NULL)
            image = pull_locked(&job, error);
        turn_end(&turn);
    }
    if (image != NULL)
        image->cost = cost;
    else
        g_free(cost.why);
    if (image == NULL || !pull_record(catalogue, image->entry, wish->may_downgrade, error))
        return NULL;
    seal_touch(image->id);
    return g_steal_pointer(&image);
}
