// SPDX-License-Identifier: Apache-2.0
/* From the command line to the disks of one guest. What a domain's disk is comes from libvirt, never from the disk. */
#include "deploy/subject.h"

#include "deploy/host.h"
#include "deploy/xml.h"

#include <string.h>

SubjectOptions subject_options;

void
subject_clear(Subject *subject)
{
    g_clear_pointer(&subject->label, g_free);
    g_clear_pointer(&subject->disks, g_ptr_array_unref);
}

static void
begin(Subject *subject, const char *label)
{
    subject->label = g_strdup(label);
    subject->disks = g_ptr_array_new_with_free_func((GDestroyNotify)guest_disk_free);
}

/* (transfer full) where the disk lies on this host */
static char *
path_of(Host *host, const XmlDisk *disk, const char *name, GError **error)
{
    if (g_strcmp0(disk->type, "volume") == 0 && disk->pool != NULL && disk->volume != NULL)
        return deploy_host_volume_path(host, disk->pool, disk->volume, error);
    if (disk->path == NULL)
        error_set(error, "VM '%s': its disk %s is neither a file nor a block device of this host", name,
                  disk->target != NULL ? disk->target : "?");
    return g_strdup(disk->path);
}

static bool
add_disks(Host *host, const HostDomain *domain, Subject *subject, GError **error)
{
    g_autoptr(GPtrArray) disks = deploy_xml_disks(domain->xml);

    for (guint i = 0; i < disks->len; i++) {
        const XmlDisk *disk = g_ptr_array_index(disks, i);
        const char *format = disk->format != NULL ? disk->format : "raw"; /* what libvirt takes it for */
        g_autofree char *path = path_of(host, disk, domain->name, error);
        DiskFormat known;

        if (path == NULL)
            return false;
        if (!disk_format_parse(format, &known))
            return error_set(error, "VM '%s': %s is in format '%s'; only raw and qcow2 can be looked into",
                             domain->name, path, format);
        g_ptr_array_add(subject->disks, guest_disk_new(path, format));
    }
    if (disks->len == 0)
        return error_set(error, "VM '%s' has no disk", domain->name);
    return disks->len <= SUBJECT_MAX_DISKS ||
           error_set(error, "VM '%s' has more than %u disks", domain->name, SUBJECT_MAX_DISKS);
}

bool
subject_of_domain(const char *name, const char *uri, bool is_written, Subject *out_subject, GError **error)
{
    g_autofree char *default_uri = uri == NULL ? deploy_host_default_uri() : NULL;
    g_autoptr(Host) host = NULL;
    g_auto(HostDomain) domain = {0};
    g_auto(Subject) subject = {0};
    bool is_session;

    if (!deploy_plan_uri_check(uri != NULL ? uri : default_uri, &is_session, error))
        return false;
    host = deploy_host_open(uri != NULL ? uri : default_uri, error);
    if (host == NULL || !deploy_host_domain(host, name, &domain, error))
        return false;
    if (is_written && domain.is_running)
        return error_set(error, "VM '%s' is running: shut it down first (virsh shutdown %s)", domain.name,
                         domain.name);
    if (is_written && domain.has_saved_state)
        return error_set(error,
                         "VM '%s' has a saved state, which expects the disks as they are: start it and shut "
                         "it down, or virsh managedsave-remove %s",
                         domain.name, domain.name);
    begin(&subject, domain.name);
    subject.is_running = domain.is_running;
    if (!add_disks(host, &domain, &subject, error))
        return false;
    *out_subject = subject;
    subject = (Subject){0};
    return true;
}

static bool
of_files(char *const *files, Subject *subject, GError **error)
{
    if (g_strv_length((char **)files) > SUBJECT_MAX_DISKS)
        return error_set_code(error, BASE_ERROR_USAGE, "a guest has at most %u disks", SUBJECT_MAX_DISKS);
    begin(subject, files[0]);
    for (; *files != NULL; files++)
        g_ptr_array_add(subject->disks, guest_disk_new(*files, subject_options.format));
    return true;
}

bool
subject_read(int *argc, char ***argv, bool is_written, Subject *out_subject, GError **error)
{
    const SubjectOptions *options = &subject_options;
    GuestAccel accel = GUEST_ACCEL_AUTO;

    if (options->accel != NULL && !guest_accel_parse(options->accel, &accel, error))
        return false;
    out_subject->accel = accel;
    if (options->domain != NULL && (options->files != NULL || options->format != NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "--domain excludes --add and --format");
    if (options->domain == NULL && options->connect != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--connect is of use with --domain alone");
    if (options->domain != NULL) {
        if (!subject_of_domain(options->domain, options->connect, is_written, out_subject, error))
            return false;
        out_subject->accel = accel;
        return true;
    }
    if (options->files != NULL)
        return of_files(options->files, out_subject, error);
    if (*argc < 1)
        return error_set_code(error, BASE_ERROR_USAGE, "no guest: give a disk file, or --domain NAME");
    (*argc)--;
    return of_files((char *[]){*(*argv)++, NULL}, out_subject, error);
}

void
subject_warn(const GuestView *view)
{
    static guint n_told;
    const GPtrArray *warnings = guest_view_warnings(view);

    for (; n_told < warnings->len; n_told++)
        cli_warn("%s", (const char *)g_ptr_array_index(warnings, n_told));
}

static bool
mount(GuestView *view, unsigned use, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (guest_view_mount(view, (const char *const *)subject_options.mounts, &problem))
        return true;
    if ((use & SUBJECT_RESCUE) != 0 && !g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
        cli_warn("%s; nothing is mounted", problem->message);
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

GuestView *
subject_open(int *argc, char ***argv, unsigned use, GError **error)
{
    g_auto(Subject) subject = {0};
    g_autoptr(GuestView) view = NULL;
    g_autofree char *reason = NULL;
    GuestViewOptions options = {.is_writable = (use & SUBJECT_WRITE) != 0,
                                .is_rescue = (use & SUBJECT_RESCUE) != 0,
                                .has_network = (use & SUBJECT_NETWORK) != 0};

    if (!subject_read(argc, argv, options.is_writable, &subject, error))
        return NULL;
    if (subject.is_running)
        cli_note("VM '%s' is running: what it has not written to its disks yet is not seen", subject.label);
    options.disks = subject.disks;
    options.label = subject.label;
    options.accel = subject.accel;
    view = guest_view_open(&options, &reason, error);
    if (reason != NULL)
        cli_warn("%s", reason);
    if (view == NULL || ((use & SUBJECT_UNMOUNTED) == 0 && !mount(view, use, error)))
        return NULL;
    subject_warn(view);
    return g_steal_pointer(&view);
}
