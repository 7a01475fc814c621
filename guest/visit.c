// SPDX-License-Identifier: Apache-2.0
#include "guest/visit.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "guest/layout.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct {
    const VisitDisk *disks;
    const VisitPlan *plan;
    Progress *progress;
    char **out_reason;
    char *first;   /* the name that the layout knows its disk by */
    Layout layout; /* of the last disk that was looked at */
} Tour;

/* The filter's call also closes the volumes of the disk before and opens those of this one. */
static bool
select_disk(Appliance *g, const char *disk, const char *label, GError **error)
{
    const char *filter[] = {disk, NULL};

    if (guestfs_lvm_set_filter(g, (char *const *)filter) == -1)
        return appliance_fail(g, label, "turn LVM to this disk", error);
    return true;
}

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

/* What lies on @disk, into the layout: read there, or known from its clone. */
static bool
find_layout(Tour *tour, Appliance *g, const VisitDisk *disk, const char *name, GError **error)
{
    if (tour->layout.info != NULL && tour->plan->is_same_image)
        return !tour->layout.has_lvm || select_disk(g, name, disk->label, error);
    layout_clear(&tour->layout);
    g_free(tour->first);
    tour->first = g_strdup(name);
    return layout_read(g, name, disk->label, &tour->layout, error);
}

static bool
visit_one(Tour *tour, Appliance *g, unsigned number, unsigned index, GError **error)
{
    const VisitPlan *plan = tour->plan;
    const VisitDisk *disk = &tour->disks[number];
    g_autofree char *name = appliance_disk(index);
    g_autoptr(GuestInfo) info = NULL;

    if (!interrupt_check(error) || !find_layout(tour, g, disk, name, error))
        return false;
    info = layout_on_disk(tour->layout.info, tour->first, name);
    const Visit visit = {g, name, info, disk->label, number};

    if (plan->before_mount != NULL && !plan->before_mount(&visit, plan->context, error))
        return false;
    if (plan->mounted == NULL)
        return true;
    if (!mount_all(&visit, plan->appliance.is_read_only, error) ||
        !plan->mounted(&visit, plan->context, error))
        return false;
    return guestfs_umount_all(g) != -1 || appliance_fail(g, disk->label, "unmount", error);
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
    const ApplianceOptions *options = &tour->plan->appliance;
    g_autofree ApplianceDisk *disks = g_new0(ApplianceDisk, n);
    g_autoptr(Appliance) g = NULL;

    for (unsigned i = 0; i < n; i++)
        disks[i] = (ApplianceDisk){tour->disks[first + i].path, tour->disks[first + i].format};
    g = appliance_launch(disks, n, options, tour->out_reason, error);
    if (g == NULL)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!visit_one(tour, g, first + i, i, error))
            return false;
        progress_add(tour->progress, 1);
    }
    if (!appliance_finish(g, tour->disks[first + n - 1].label, error))
        return false;
    for (unsigned i = 0; !options->is_read_only && i < n; i++)
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
    layout_clear(&tour.layout);
    g_free(tour.first);
    return is_ok;
}
