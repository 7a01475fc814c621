// SPDX-License-Identifier: Apache-2.0
/*
 * The order of a deploy: check and decide (prepare.c), make the disks in a staging folder, customize them in one
 * appliance launch, move them into place, define, start. Each thing is recorded in the journal before it is made, so
 * that a failure, Ctrl-C or kill -9 at any step leaves nothing behind.
 */
#include "deploy/deploy.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/paths.h"
#include "deploy/deployment.h"
#include "deploy/undo.h"
#include "deploy/xml.h"

#include <fcntl.h>
#include <unistd.h>

#define JOURNAL_OPERATION "deploy"

static DeployVm *
vm_at(const Deployment *d, guint i)
{
    return g_ptr_array_index(d->result.vms, i);
}

static char *
staged_path(const Deployment *d, const DeployVm *vm)
{
    g_autofree char *name = g_path_get_basename(vm->disk);

    return g_build_filename(d->staging, name, NULL);
}

static char *
journal_dir(void)
{
    g_autofree char *state = path_state();

    return g_build_filename(state, "journal", NULL);
}

static void
recover(Deployment *d)
{
    g_autofree char *dir = journal_dir();
    g_autoptr(GError) failure = NULL;
    Undo undo = {NULL, NULL};
    unsigned undone = 0;

    /* What cannot be undone now stays recorded and is in nobody's way: warn and go on. */
    if (!journal_recover(dir, JOURNAL_OPERATION, deploy_undo_action, &undo, &undone, &failure))
        deploy_report(d, true, "an earlier deploy that was killed cannot be undone yet: %s",
                      failure->message);
    if (undone > 0)
        deploy_report(d, false, "undid %u earlier deploy%s that had been killed", undone,
                      undone == 1 ? "" : "s");
}

static bool
make_staging(Deployment *d, GError **error)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *name = g_strconcat(".virt-depot-", id, NULL);

    d->staging = g_build_filename(d->disk_dir, name, NULL);
    deploy_undo_record_folder(d->journal, d->staging);
    return journal_sync(d->journal, error) && file_make_dirs(d->staging, 0700, error);
}

static bool
make_disks(Deployment *d, GError **error)
{
    bool is_copy = d->result.mode == DEPLOY_FULL;

    for (guint i = 0; i < d->result.vms->len; i++) {
        const DeployVm *vm = vm_at(d, i);
        g_autofree char *path = staged_path(d, vm);
        g_autofree char *label = g_strconcat("copy ", vm->name, NULL);
        g_autoptr(Progress) progress = is_copy ? progress_new(label, d->base.size) : NULL;

        if (!interrupt_check(error) ||
            !deploy_disks_make(&d->base, d->result.mode, path, d->result.size_bytes, progress, error))
            return false;
    }
    return true;
}

static bool
customize(Deployment *d, GError **error)
{
    guint n = d->result.vms->len;
    g_autofree GuestEdit *edits = g_new0(GuestEdit, n);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(Progress) progress = NULL;
    g_autofree char *reason = NULL;
    GuestRun run = {.accel = d->request->accel, .is_same_image = true};

    if (d->request->is_uncustomized)
        return true;
    for (guint i = 0; i < n; i++) {
        const DeployVm *vm = vm_at(d, i);

        g_ptr_array_add(paths, staged_path(d, vm));
        edits[i] = (GuestEdit){
            .path = g_ptr_array_index(paths, i),
            .format = deploy_disks_format(d->result.mode),
            .label = vm->name,
            .grow = d->result.size_bytes > d->base.size,
            .hostname = vm->hostname,
            .root_password = vm->root_password != NULL ? vm->root_password : d->request->root_password,
            .ssh_keys = d->request->ssh_keys,
            .fresh_identity = true,
        };
    }
    progress = run.progress = progress_new_count("customize", n);
    /* What was asked for, not what the probe said: the appliance may still have to fall back. */
    if (!guest_customize(edits, n, &run, &reason, error))
        return false;
    if (reason != NULL && d->accel == GUEST_ACCEL_KVM)
        deploy_report(d, true, "%s", reason); /* the probe's own reason was told by prepare.c */
    return true;
}

static bool
sync_disks(const Deployment *d, GError **error)
{
    g_auto(Fd) dir = open(d->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0 || syncfs(dir) < 0)
        return error_set_errno(error, "%s: cannot sync", d->staging);
    return true;
}

static bool
place_disks(Deployment *d, GError **error)
{
    for (guint i = 0; i < d->result.vms->len; i++) {
        g_autofree char *path = staged_path(d, vm_at(d, i));

        if (!deploy_undo_record_move(d->journal, path, vm_at(d, i)->disk, error))
            return false;
    }
    if (!journal_sync(d->journal, error))
        return false;
    for (guint i = 0; i < d->result.vms->len; i++) {
        g_autofree char *path = staged_path(d, vm_at(d, i));

        if (d->result.mode == DEPLOY_LINKED && !fetch_note_use(d->image, vm_at(d, i)->disk, error))
            return false;
        if (!deploy_disks_move(path, vm_at(d, i)->disk, error))
            return false;
    }
    return file_remove_tree(d->staging, error) && file_sync_dir(d->disk_dir, error);
}

static char *
domain_xml(const Deployment *d, const DeployVm *vm)
{
    const DomainSpec spec = {
        .name = vm->name,
        .uuid = vm->uuid,
        .arch = d->arch,
        .is_kvm = d->result.is_kvm,
        .memory_bytes = d->request->memory_bytes,
        .cpus = d->request->cpus,
        .disk = vm->disk,
        .disk_format = deploy_disks_format(d->result.mode),
        .network = d->network,
        .mac = vm->mac,
        .serial_log = vm->serial_log,
        .image = d->image->entry->name,
        .source = d->result.source,
        .revision = d->result.revision,
        .mode = d->result.mode,
    };

    return deploy_xml_domain(&spec);
}

static bool
define_domains(Deployment *d, GError **error)
{
    for (guint i = 0; i < d->result.vms->len; i++)
        deploy_undo_record_domain(d->journal, vm_at(d, i)->uuid, d->result.uri);
    if (!journal_sync(d->journal, error))
        return false;
    for (guint i = 0; i < d->result.vms->len; i++) {
        const DeployVm *vm = vm_at(d, i);
        g_autofree char *xml = domain_xml(d, vm);

        if (!interrupt_check(error) || !deploy_host_define(d->host, vm->name, xml, error))
            return false;
    }
    return true;
}

static bool
start_domains(const Deployment *d, GError **error)
{
    for (guint i = 0; d->request->is_started && i < d->result.vms->len; i++) {
        const DeployVm *vm = vm_at(d, i);

        if (!interrupt_check(error) || !deploy_host_start(d->host, vm->uuid, vm->name, error))
            return false;
    }
    return interrupt_check(error);
}

static bool
make_all(Deployment *d, GError **error)
{
    const char *log_dir = d->request->serial_log_dir;
    g_autofree char *dir = journal_dir();
    g_autoptr(GError) failure = NULL;
    Undo undo = {d->host, d->result.uri};

    if (log_dir != NULL && !file_make_dirs(log_dir, 0755, error))
        return false;
    d->journal = journal_begin(dir, JOURNAL_OPERATION, error);
    if (d->journal == NULL)
        return false;
    if (make_staging(d, error) && make_disks(d, error) && customize(d, error) && sync_disks(d, error) &&
        place_disks(d, error) && define_domains(d, error) && start_domains(d, error))
        return journal_commit(g_steal_pointer(&d->journal), error);
    if (!journal_undo(g_steal_pointer(&d->journal), deploy_undo_action, &undo, &failure))
        deploy_report(d, true, "not everything could be undone, the next deploy tries again: %s",
                      failure->message);
    return false;
}

bool
deploy_vms(const DeployRequest *request, bool is_dry_run, DeployResult *out_result, GError **error)
{
    g_auto(Deployment) d = {.request = request, .base = {.fd = -1}};

    if (!is_dry_run)
        recover(&d);
    if (!deploy_prepare_host(&d, error))
        return false;
    if (is_dry_run ? !deploy_prepare_without_image(&d, error)
                   : !deploy_prepare_image(&d, error) || !make_all(&d, error))
        return false;
    *out_result = d.result;
    d.result = (DeployResult){0};
    return true;
}
