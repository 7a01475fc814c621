// SPDX-License-Identifier: Apache-2.0
#include "guest/visit.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "guest/layout.h"
#include "guest/volumes.h"

#include <fcntl.h>
#include <unistd.h>

/* LUKS2 as distributions make it takes 1 GiB to derive a key from a passphrase (cryptsetup-luksFormat(8), --pbkdf-memory). */
#define KEYS_MEMORY_MB 1792

typedef struct {
    const VisitDisk *disks;
    const VisitPlan *plan;
    Progress *progress;
    char **out_reason;
    char *first;       /* the name that the layout knows its disk by */
    GuestInfo *layout; /* (nullable) of the last disk that was looked at */
} Tour;

static bool
mount_all(const Visit *visit, bool is_read_only, GError **error)
{
    for (unsigned i = 0; i < visit->info->mounts->len; i++) {
        const GuestMount *mount = visit->info->mounts->pdata[i];
        g_autofree char *what = g_strdup_printf("mount %s", mount->path);
        int rc = is_read_only ? guestfs_mount_ro(visit->g, mount->device, mount->path)
                              : guestfs_mount_options(visit->g, "", mount->device, mount->path);

        if (rc == -1)
            return appliance_fail(visit->g, visit->label, what, error);
    }
    return true;
}

/* layout_of: (transfer full) what lies on the disk @name: read there, or known from its clone; all of it open. */
static GuestInfo *
layout_of(Tour *tour, Appliance *g, const VisitDisk *disk, const char *name, GError **error)
{
    const VisitPlan *plan = tour->plan;
    g_autoptr(GuestInfo) info = NULL;

    if (tour->layout != NULL && plan->is_same_image) {
        info = layout_on_disk(tour->layout, tour->first, name);
        return volumes_open(g, info, plan->keys, name, disk->label, error) ? g_steal_pointer(&info) : NULL;
    }
    g_clear_pointer(&tour->layout, guest_info_free);
    g_free(tour->first);
    tour->first = g_strdup(name);
    tour->layout = layout_read(g, name, plan->keys, disk->label, error);
    return tour->layout != NULL ? layout_on_disk(tour->layout, name, name) : NULL;
}

static bool
visit_one(Tour *tour, Appliance *g, unsigned number, unsigned index, GError **error)
{
    const VisitPlan *plan = tour->plan;
    const VisitDisk *disk = &tour->disks[number];
    g_autofree char *name = appliance_disk(index);
    g_autoptr(GuestInfo) info = NULL;

    if (!interrupt_check(error))
        return false;
    info = layout_of(tour, g, disk, name, error);
    if (info == NULL)
        return false;
    const Visit visit = {g, name, info, plan->keys, disk->label, number};

    if (plan->before_mount != NULL && !plan->before_mount(&visit, plan->context, error))
        return false;
    if (plan->mounted != NULL && (!mount_all(&visit, plan->appliance.is_read_only, error) ||
                                  !plan->mounted(&visit, plan->context, error)))
        return false;
    if (guestfs_umount_all(g) == -1)
        return appliance_fail(g, disk->label, "unmount", error);
    return volumes_close(g, info, disk->label, error);
}

/* The appliance's disks have no cache discipline at all (cachemode "unsafe"), so this is the one moment of truth. */
static bool
sync_disk(const char *path, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return error_set_errno(error, "%s: cannot sync", path);
    return true;
}

/* One launch: @n disks from number @first on. */
static bool
visit_batch(Tour *tour, unsigned first, unsigned n, GError **error)
{
    ApplianceOptions options = tour->plan->appliance;
    g_autofree ApplianceDisk *disks = g_new0(ApplianceDisk, n);
    g_autoptr(Appliance) g = NULL;

    for (unsigned i = 0; i < n; i++)
        disks[i] = (ApplianceDisk){tour->disks[first + i].path, tour->disks[first + i].format,
                                   tour->disks[first + i].label};
    if (tour->plan->keys != NULL)
        options.memory_mb = MAX(options.memory_mb, KEYS_MEMORY_MB);
    g = appliance_launch(disks, n, &options, tour->out_reason, error);
    if (g == NULL)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!visit_one(tour, g, first + i, i, error))
            return false;
        progress_add(tour->progress, 1);
    }
    if (!appliance_finish(g, tour->disks[first + n - 1].label, error))
        return false;
    for (unsigned i = 0; !options.is_read_only && i < n; i++)
        if (!sync_disk(disks[i].path, error))
            return false;
    return true;
}

bool
visit_each(const VisitDisk *disks, unsigned n, const VisitPlan *plan, Progress *progress, char **out_reason,
           GError **error)
{
    Tour tour = {.disks = disks, .plan = plan, .progress = progress, .out_reason = out_reason};
    bool is_ok = true;

    for (unsigned done = 0; done < n && is_ok; done += APPLIANCE_MAX_DISKS)
        is_ok = visit_batch(&tour, done, MIN(n - done, APPLIANCE_MAX_DISKS), error);
    guest_info_free(tour.layout);
    g_free(tour.first);
    return is_ok;
}
