// SPDX-License-Identifier: Apache-2.0
/* Customizes the disks of many guests in one appliance launch. */
#include "guest/apply.h"
#include "guest/grow.h"
#include "guest/visit.h"

#include "base/fd.h"

#include <fcntl.h>

#define PROGRAMS_MEMORY_MB 1280 /* libguestfs's own default, which it gives for installing packages */

typedef struct {
    const GuestEdit *edits;
    const GuestRun *run;
} Customize;

static bool
disk_size(const char *path, uint64_t *out_size, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC);
    g_auto(DiskInfo) info = {0};

    if (fd < 0)
        return error_set_errno(error, "%s: cannot open", path);
    if (!disk_probe(fd, path, &info, error))
        return false;
    *out_size = info.virtual_size;
    return true;
}

/* What is behind the last partition goes: the file is the last thing to become smaller. */
static bool
cut_file(const GuestEdit *edit, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, edit->shrink_to);
    g_autofree char *message = NULL;
    const char *argv[] = {"qemu-img", "resize",   "-q", "--shrink", "-f", disk_format_name(edit->format),
                          "--",       edit->path, size, NULL};
    int status = 0;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                      NULL, &message, &status, error))
        return false;
    return g_spawn_check_wait_status(status, NULL) ||
           error_set(error, "%s: cannot cut the file: %s", edit->path, g_strstrip(message));
}

static bool
resize(const Visit *visit, void *context, GError **error)
{
    const Customize *customize = context;
    const GuestEdit *edit = &customize->edits[visit->number];
    uint64_t size = edit->shrink_to;

    if (!edit->grow && size == 0)
        return true;
    return (size > 0 || disk_size(edit->path, &size, error)) && grow_disk(visit, size, error);
}

static bool
edit_files(const Visit *visit, void *context, GError **error)
{
    const Customize *customize = context;
    g_autoptr(Plan) plan = plan_make(&customize->edits[visit->number], visit->info, error);

    if (plan == NULL || !apply_plan(visit->g, plan, visit->info->has_selinux, visit->label, error))
        return false;
    for (unsigned i = 0; customize->run->tell_password != NULL && i < plan->passwords->len; i++) {
        const PlanPassword *made = plan->passwords->pdata[i];

        customize->run->tell_password(visit->number, made->user, made->password, customize->run->context);
    }
    return true;
}

static bool
needs_mounts(const GuestEdit *edit)
{
    GuestEdit rest = *edit;

    rest.grow = false;
    rest.shrink_to = 0;
    return guest_edit_needs_appliance(&rest);
}

/* A network costs the appliance seconds, and package managers need more memory than edits. */
static void
expect_programs(ApplianceOptions *options, const GuestRun *run)
{
    options->has_network = run->has_network;
    if (run->memory_mb == 0)
        options->memory_mb = PROGRAMS_MEMORY_MB;
}

bool
guest_customize(const GuestEdit *edits, unsigned n, const GuestRun *run, char **out_reason, GError **error)
{
    g_autofree VisitDisk *disks = g_new0(VisitDisk, MAX(n, 1));
    Customize customize = {.edits = edits, .run = run};
    VisitPlan plan = {
        .appliance = {.accel = run->accel,
                      .memory_mb = run->memory_mb,
                      .cpus = run->cpus,
                      .attached = run->attached,
                      .n_attached = run->n_attached},
        .is_same_image = run->is_same_image,
        .before_mount = resize,
        .keys = run->keys,
        .context = &customize,
    };

    *out_reason = NULL;
    for (unsigned i = 0; i < n; i++) {
        if (!plan_check(&edits[i], error))
            return false;
        disks[i] = (VisitDisk){edits[i].path, edits[i].format, edits[i].label};
        if (needs_mounts(&edits[i]))
            plan.mounted = edit_files;
        if (plan_runs_now(edits[i].ops))
            expect_programs(&plan.appliance, run);
    }
    if (!visit_each(disks, n, &plan, run->progress, out_reason, error))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (edits[i].shrink_to > 0 && !cut_file(&edits[i], error))
            return false;
    return true;
}
