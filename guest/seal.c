// SPDX-License-Identifier: Apache-2.0
/* The order of things in one guest: devices, files, customizing, what that made anew, and the machine id last. */
#include "guest/seal.h"

#include "guest/apply.h"
#include "guest/plan.h"
#include "guest/seal_work.h"

#include <string.h>

typedef struct {
    const SealJob *job;
    SealReport *reports;
    GPtrArray *uuids; /* of the guest at hand */
} Sealing;

static void
item_free(SealItem *item)
{
    g_free(item->path);
    g_free(item);
}

void
seal_report_clear(SealReport *report)
{
    g_clear_pointer(&report->items, g_ptr_array_unref);
    g_clear_pointer(&report->notes, g_ptr_array_unref);
}

void
seal_tell(const SealWork *work, const SealRow *row, const char *path, uint64_t bytes)
{
    SealItem *item = g_new0(SealItem, 1);

    *item = (SealItem){row, g_strdup(path), bytes};
    g_ptr_array_add(work->report->items, item);
}

void
seal_note(const SealWork *work, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(work->report->notes, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

bool
seal_is_chosen(const SealWork *work, const char *name)
{
    const SealRow *row = seal_row(name);

    return seal_set_has(&work->job->set, row) && seal_is_for(row, work->visit->info);
}

bool
seal_fail(const SealWork *work, const char *what, const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%s %s", what, path);

    return appliance_fail(work->visit->g, work->visit->label, text, error);
}

/* ---- what is written, by the same means as every other edit ---- */

/* write_plan: what new clones find: units, an empty machine id. */
static bool
write_plan(const SealWork *work, bool is_last, GError **error)
{
    static const char what[] = "seal the guest";
    g_autoptr(Plan) plan = plan_new();
    bool has_keys = seal_is_chosen(work, "ssh-hostkeys");

    if (is_last && seal_is_chosen(work, "machine-id"))
        plan_fresh_machine_id(plan, what);
    if (!is_last && has_keys)
        plan_new_host_keys(plan, what, work->visit->info);
    if (!is_last && seal_is_chosen(work, "flag-reconfiguration"))
        plan_add(plan, PLAN_WRITE, what, "/.unconfigured", "", NULL);
    if (work->job->is_dry_run)
        return true;
    return apply_plan(work->visit->g, plan, work->visit->info->has_selinux, work->visit->label, error);
}

/* A machine id is told of where there is one. */
static bool
tell_machine_id(const SealWork *work, GError **error)
{
    static const char path[] = "/etc/machine-id";
    g_autofree char *id = appliance_read(work->visit->g, path, work->visit->label, error);

    if (id != NULL && id[0] != '\0')
        seal_tell(work, seal_row("machine-id"), path, 0);
    return id != NULL;
}

static bool
customize(const SealWork *work, GError **error)
{
    const SealJob *job = work->job;
    const GuestEdit edit = {.label = work->visit->label, .ops = job->ops};
    g_autoptr(Plan) plan = plan_make(&edit, work->visit->info, error);

    if (plan == NULL ||
        !apply_plan(work->visit->g, plan, work->visit->info->has_selinux, work->visit->label, error))
        return false;
    for (unsigned i = 0; i < plan->passwords->len; i++) {
        const PlanPassword *made = plan->passwords->pdata[i];

        job->tell_password(work->visit->number, made->user, made->password, job->context);
    }
    return seal_files(work, true, error);
}

static bool
has_removed(const SealWork *work, const char *name)
{
    for (unsigned i = 0; i < work->report->items->len; i++)
        if (strcmp(((SealItem *)work->report->items->pdata[i])->row->name, name) == 0)
            return true;
    return false;
}

/* The collections that programs read are made of the files that are gone now. */
static void
update_certificates(const SealWork *work)
{
    static const char command[] = "if command -v update-ca-trust; then update-ca-trust; "
                                  "elif command -v update-ca-certificates; then update-ca-certificates; fi";
    char *told;

    if (work->job->is_dry_run || !has_removed(work, "ca-certificates"))
        return;
    told = guestfs_sh(work->visit->g, command);
    if (told == NULL)
        seal_note(work, "ca-certificates: the guest's collection of them was not updated: %s",
                  guestfs_last_error(work->visit->g));
    g_free(told);
}

static bool
seal_mounted(const SealWork *work, GError **error)
{
    bool is_dry = work->job->is_dry_run;
    bool is_customized =
        work->job->ops != NULL && !guest_ops_is_empty(work->job->ops) && seal_is_chosen(work, "customize");

    if ((seal_is_chosen(work, "machine-id") && !tell_machine_id(work, error)) ||
        !seal_files(work, false, error) ||
        (seal_is_chosen(work, "backup-files") && !seal_backups(work, error)) ||
        (seal_is_chosen(work, "user-account") && !seal_accounts(work, error)) || !seal_uuids(work, error))
        return false;
    update_certificates(work);
    if (!write_plan(work, false, error) || (is_customized && !is_dry && !customize(work, error)))
        return false;
    return write_plan(work, true, error) && (is_dry || seal_trim(work, error));
}

static bool
before_mount(const Visit *visit, void *context, GError **error)
{
    Sealing *sealing = context;
    SealReport *report = &sealing->reports[visit->number];
    const SealWork work = {visit, sealing->job, report, sealing->uuids};

    report->items = g_ptr_array_new_with_free_func((GDestroyNotify)item_free);
    report->notes = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_set_size(sealing->uuids, 0);
    return seal_devices(&work, error);
}

static bool
mounted(const Visit *visit, void *context, GError **error)
{
    Sealing *sealing = context;
    const SealWork work = {visit, sealing->job, &sealing->reports[visit->number], sealing->uuids};

    return seal_mounted(&work, error);
}

bool
seal_disks(const VisitDisk *disks, unsigned n, const SealJob *job, SealReport *out_reports,
           Progress *progress, char **out_reason, GError **error)
{
    g_autoptr(GPtrArray) uuids = g_ptr_array_new_with_free_func(g_free);
    Sealing sealing = {job, out_reports, uuids};
    VisitPlan plan = {
        .appliance = job->appliance, .before_mount = before_mount, .mounted = mounted, .context = &sealing};

    plan.appliance.is_read_only = job->is_dry_run;
    return visit_each(disks, n, &plan, progress, out_reason, error);
}
