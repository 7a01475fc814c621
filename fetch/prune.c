// SPDX-License-Identifier: Apache-2.0
#include "fetch/prune.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "fetch/seal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void
line_free(void *data)
{
    PruneLine *line = data;

    g_free(line->id);
    g_free(line->name);
    g_free(line->path);
    g_free(line->reason);
    g_free(line);
}

void
prune_result_clear(PruneResult *result)
{
    g_clear_pointer(&result->lines, g_ptr_array_unref);
    g_clear_pointer(&result->doubt, g_free);
}

static void
add_line(PruneResult *result, const char *id, char *name, const char *path, uint64_t bytes, char *reason)
{
    PruneLine *line = g_new0(PruneLine, 1);

    *line = (PruneLine){g_strdup(id), name, g_strdup(path), bytes, reason};
    g_ptr_array_add(result->lines, line);
}

static char *
lock_path_of(const char *id)
{
    const CacheKey key = {.id = (char *)id};

    return cache_lock_path(&key);
}

/* ---- images ---- */

static void
unlock(CacheImage *image)
{
    g_autofree char *path = lock_path_of(image->id);

    if (image->lock >= 0)
        unlink(path);
    fd_close(fd_steal(&image->lock));
    fd_close(fd_steal(&image->fd));
}

/* lock: (transfer full) (nullable) why the image cannot go now; NULL: nobody else has it any more. */
static char *
lock(CacheImage *image)
{
    g_autofree char *path = lock_path_of(image->id);
    g_autoptr(GError) problem = NULL;

    image->lock = file_lock(path, false, &problem);
    if (image->lock < 0)
        return g_error_matches(problem, BASE_ERROR, BASE_ERROR_EXISTS)
                   ? g_strdup("another process pulls or verifies it")
                   : g_strdup(problem->message);
    image->fd = open(image->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (image->fd < 0)
        return g_strdup(g_strerror(errno));
    if (flock(image->fd, LOCK_EX | LOCK_NB) < 0)
        return g_strdup("VMs are being made of it");
    return uses_is_open(image->fd) ? g_strdup("a running program has it open") : NULL;
}

/* Choose and lock until both agree: where one cannot go another one may have to. reasons[i]: why it stays. */
static bool *
choose(const CacheContents *contents, const PruneRule *rule, bool is_dry_run, GPtrArray *reasons)
{
    g_autofree bool *is_kept = g_new0(bool, MAX(contents->images->len, 1));

    for (;;) {
        g_autofree bool *is_chosen = prune_choose(contents->images, is_kept, rule);
        bool is_stable = true;

        for (guint i = 0; i < contents->images->len; i++) {
            CacheImage *image = g_ptr_array_index(contents->images, i);

            if (!is_chosen[i] || image->lock >= 0 || is_dry_run)
                continue;
            g_ptr_array_index(reasons, i) = lock(image);
            if (g_ptr_array_index(reasons, i) == NULL)
                continue;
            unlock(image);
            is_kept[i] = true;
            is_stable = false;
        }
        if (is_stable)
            return g_steal_pointer(&is_chosen);
    }
}

static bool
remove_image(const CacheImage *image, GError **error)
{
    const CacheKey key = {.id = image->id};
    g_autofree char *manifest = cache_manifest_path(&key), *local = cache_local_manifest_path(&key);

    if (!file_remove(image->path, error) || !file_remove(manifest, error) || !file_remove(local, error))
        return false;
    seal_forget(image->id);
    uses_sweep(image->id);
    return true;
}

static char *
used_by(const CacheImage *image)
{
    return g_strdup_printf("%s%s needs it", (const char *)g_ptr_array_index(image->users, 0),
                           image->users->len > 1 ? " and others" : "");
}

/* The images that the rule would remove if nobody needed them are worth a line. */
static void
explain_kept(const CacheContents *contents, const PruneRule *rule, const GPtrArray *reasons,
             PruneResult *result)
{
    bool is_too_much = rule->max_bytes > 0 && result->left_bytes > rule->max_bytes;

    for (guint i = 0; i < contents->images->len; i++) {
        const CacheImage *image = g_ptr_array_index(contents->images, i);
        const char *reason = g_ptr_array_index(reasons, i);
        bool is_old = rule->max_age >= 0 && rule->now - image->last_used > rule->max_age;

        if (reason != NULL || (image->users != NULL && (is_old || is_too_much)))
            add_line(result, image->id, contents_name(image), image->path, image->disk_bytes,
                     image->users != NULL ? used_by(image) : g_strdup(reason));
    }
}

/* One that is to go and that nobody is known to need; out_doubt: (transfer none) (nullable) why it stays all the same. */
static bool
may_go(const CacheContents *contents, const CacheImage *image, const char **out_doubt)
{
    if (image->users != NULL)
        return false;
    *out_doubt = uses_doubt(contents->uses, image->id);
    return *out_doubt == NULL;
}

static bool
prune_images(CacheContents *contents, const PruneRule *rule, bool is_dry_run, PruneResult *result,
             GError **error)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
    g_autofree bool *is_chosen = NULL;

    g_ptr_array_set_size(reasons, (gint)contents->images->len);
    is_chosen = choose(contents, rule, is_dry_run, reasons);
    contents_find_users(contents); /* now that nobody can make another one */
    for (guint i = 0; i < contents->images->len; i++) {
        CacheImage *image = g_ptr_array_index(contents->images, i);
        const char *doubt = NULL;
        bool is_removed = is_chosen[i] && may_go(contents, image, &doubt);

        if (is_removed && !is_dry_run && (!interrupt_check(error) || !remove_image(image, error)))
            return false;
        if (is_removed)
            add_line(result, image->id, contents_name(image), image->path, image->disk_bytes, NULL);
        else
            result->left_bytes += image->disk_bytes;
        if (doubt != NULL) {
            g_ptr_array_index(reasons, i) = g_strdup_printf("it may be needed: %s", doubt);
            result->n_doubted++;
            if (result->doubt == NULL)
                result->doubt = g_strdup(doubt);
        }
        unlock(image);
    }
    explain_kept(contents, rule, reasons, result);
    return true;
}

/* ---- litter ---- */

static bool
prune_litter(const CacheContents *contents, int64_t now, int64_t max_age, bool is_dry_run,
             PruneResult *result, GError **error)
{
    for (guint i = 0; i < contents->litter->len; i++) {
        const CacheLitter *litter = g_ptr_array_index(contents->litter, i);
        g_autofree char *lock_path = lock_path_of(litter->id);
        g_auto(Fd) lock = -1;

        result->left_bytes += litter->disk_bytes;
        if (now - litter->changed <= max_age)
            continue;
        if (!is_dry_run && (lock = file_lock(lock_path, false, NULL)) < 0)
            continue; /* somebody goes on with it */
        if (!is_dry_run && (!file_remove(litter->path, error) || !file_remove(lock_path, error)))
            return false;
        result->left_bytes -= litter->disk_bytes;
        if (!g_str_has_suffix(litter->path, ".lock"))
            add_line(result, litter->id, g_strdup_printf("what is left of a pull of %s", litter->id),
                     litter->path, litter->disk_bytes, NULL);
    }
    return true;
}

bool
prune_cache(const PruneRule *rule, int64_t litter_age, bool is_dry_run, PruneResult *out_result,
            GError **error)
{
    g_autoptr(CacheContents) contents = contents_read();
    g_autofree char *images = cache_images_folder();

    out_result->lines = g_ptr_array_new_with_free_func(line_free);
    contents_find_users(contents);
    if (!prune_litter(contents, rule->now, litter_age, is_dry_run, out_result, error) ||
        !prune_images(contents, rule, is_dry_run, out_result, error))
        return false;
    return is_dry_run || contents->images->len == 0 || file_sync_dir(images, error);
}
