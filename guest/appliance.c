// SPDX-License-Identifier: Apache-2.0
/*
 * Starts libguestfs's appliance on qemu directly, under KVM only where it really works, and turns its errors into
 * GErrors. Its children share our process group, so Ctrl-C ends them; other signals are passed on from here.
 */
#include "guest/appliance.h"

#include "base/interrupt.h"
#include "base/paths.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libguestfs asks for 1280 MB, which it needs for big fscks and package installs; edits do not. */
#define MEMORY_MB 768

void
appliance_free(Appliance *appliance)
{
    if (appliance != NULL)
        guestfs_close(appliance);
}

char *
appliance_disk(unsigned index)
{
    g_assert(index < APPLIANCE_MAX_DISKS);
    return g_strdup_printf("/dev/sd%c", (char)('a' + index));
}

bool
appliance_fail(Appliance *appliance, const char *label, const char *what, GError **error)
{
    const char *text = guestfs_last_error(appliance);

    if (!interrupt_check(error)) {
        g_prefix_error(error, "%s: ", label);
        return false;
    }
    return error_set(error, "%s: cannot %s: %s", label, what, text != NULL ? text : "unknown error");
}

/*
 * Console output arrives all through the launch, which no libguestfs call can break off: guestfs_get_pid() works only
 * after it. While it runs, this thread's children are libguestfs's own: qemu and its recovery process.
 */
static void
on_console(guestfs_h *g G_GNUC_UNUSED, void *opaque G_GNUC_UNUSED, uint64_t event G_GNUC_UNUSED,
           int handle G_GNUC_UNUSED, int flags G_GNUC_UNUSED, const char *text G_GNUC_UNUSED,
           size_t size G_GNUC_UNUSED, const uint64_t *array G_GNUC_UNUSED, size_t array_size G_GNUC_UNUSED)
{
    g_autofree char *path = NULL, *list = NULL;
    g_auto(GStrv) pids = NULL;

    if (interrupt_signal() == 0)
        return;
    path = g_strdup_printf("/proc/self/task/%d/children", (int)gettid());
    if (!g_file_get_contents(path, &list, NULL, NULL))
        return;
    pids = g_strsplit(g_strstrip(list), " ", -1);
    for (unsigned i = 0; pids[i] != NULL; i++)
        if (pids[i][0] != '\0')
            kill((pid_t)strtol(pids[i], NULL, 10), SIGTERM);
}

static Appliance *
create(GError **error)
{
    Appliance *g = guestfs_create_flags(GUESTFS_CREATE_NO_CLOSE_ON_EXIT);

    if (g == NULL) {
        error_set_errno(error, "libguestfs: cannot make a handle");
        return NULL;
    }
    guestfs_set_error_handler(g, NULL, NULL);
    return g;
}

static bool
add_disk(Appliance *g, const char *path, DiskFormat format, bool is_read_only, GError **error)
{
    int rc = is_read_only
                 ? guestfs_add_drive_opts(g, path, GUESTFS_ADD_DRIVE_OPTS_FORMAT, disk_format_name(format),
                                          GUESTFS_ADD_DRIVE_OPTS_READONLY, 1, -1)
                 : guestfs_add_drive_opts(g, path, GUESTFS_ADD_DRIVE_OPTS_FORMAT, disk_format_name(format),
                                          GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort",
                                          GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, "unsafe", -1);

    return rc == 0 || appliance_fail(g, path, "add the disk to the appliance", error);
}

static bool
configure(Appliance *g, const ApplianceDisk *disks, unsigned n, const ApplianceOptions *options, bool is_tcg,
          GError **error)
{
    /* "direct" needs no libvirt, whose system daemon could not even read a user's disks. */
    if (g_getenv("LIBGUESTFS_BACKEND") == NULL && guestfs_set_backend(g, "direct") == -1)
        return appliance_fail(g, "libguestfs", "use qemu directly", error);
    if (is_tcg && guestfs_set_backend_setting(g, "force_tcg", "1") == -1)
        return appliance_fail(g, "libguestfs", "do without KVM", error);
    if (guestfs_set_memsize(g, options->memory_mb > 0 ? (int)options->memory_mb : MEMORY_MB) == -1 ||
        (options->cpus > 0 && guestfs_set_smp(g, (int)options->cpus) == -1) ||
        guestfs_set_network(g, options->has_network) == -1 ||
        (options->is_rescue && guestfs_set_append(g, "guestfs_rescue=1") == -1) ||
        guestfs_set_event_callback(g, on_console, GUESTFS_EVENT_APPLIANCE, 0, NULL) == -1)
        return appliance_fail(g, "libguestfs", "configure the appliance", error);
    for (unsigned i = 0; i < n; i++)
        if (!add_disk(g, disks[i].path, disks[i].format, options->is_read_only, error))
            return false;
    for (unsigned i = 0; i < options->n_attached; i++)
        if (!add_disk(g, options->attached[i].path, options->attached[i].format, true, error))
            return false;
    return true;
}

static Appliance *
launch_once(const ApplianceDisk *disks, unsigned n, const ApplianceOptions *options, bool is_tcg,
            GError **error)
{
    g_autoptr(Appliance) g = create(error);

    if (g == NULL || !configure(g, disks, n, options, is_tcg, error))
        return NULL;
    if (guestfs_launch(g) == -1) {
        appliance_fail(g, disks[0].label != NULL ? disks[0].label : disks[0].path,
                       "start the libguestfs appliance", error);
        return NULL;
    }
    return g_steal_pointer(&g);
}

Appliance *
appliance_launch(const ApplianceDisk *disks, unsigned n, const ApplianceOptions *options, char **out_reason,
                 GError **error)
{
    g_autoptr(GError) kvm_error = NULL;
    GuestAccel accel = options->accel;
    Appliance *appliance;

    if (accel == GUEST_ACCEL_AUTO) {
        g_autofree char *state = path_state();
        g_autofree char *reason = NULL;

        accel = guest_accel_probe(state, &reason);
        if (*out_reason == NULL)
            *out_reason = g_steal_pointer(&reason);
    }
    if (!interrupt_check(error))
        return NULL;
    if (accel == GUEST_ACCEL_TCG || options->accel == GUEST_ACCEL_KVM)
        return launch_once(disks, n, options, accel == GUEST_ACCEL_TCG, error);
    appliance = launch_once(disks, n, options, false, &kvm_error);
    if (appliance != NULL)
        return appliance;
    if (g_error_matches(kvm_error, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&kvm_error));
        return NULL;
    }
    appliance = launch_once(disks, n, options, true, error);
    if (appliance != NULL && *out_reason == NULL)
        *out_reason = g_strdup_printf("the appliance did not start under KVM: %s", kvm_error->message);
    return appliance;
}

bool
appliance_finish(Appliance *appliance, const char *label, GError **error)
{
    if (guestfs_umount_all(appliance) == -1)
        return appliance_fail(appliance, label, "unmount", error);
    if (guestfs_shutdown(appliance) == -1)
        return appliance_fail(appliance, label, "write everything back", error);
    return true;
}

char *
appliance_read(Appliance *appliance, const char *path, const char *label, GError **error)
{
    g_autofree char *what = g_strdup_printf("read %s", path);
    char *text;
    size_t size;
    int64_t file_size;
    int is_file = guestfs_is_file_opts(appliance, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);

    if (is_file == 0)
        return g_strdup("");
    file_size = is_file == -1 ? -1 : guestfs_filesize(appliance, path);
    if (file_size == -1) {
        appliance_fail(appliance, label, what, error);
        return NULL;
    }
    if (file_size > APPLIANCE_MAX_FILE) {
        error_set(error, "%s: %s in the guest has more than %u bytes", label, path, APPLIANCE_MAX_FILE);
        return NULL;
    }
    text = guestfs_read_file(appliance, path, &size);
    if (text == NULL) {
        appliance_fail(appliance, label, what, error);
        return NULL;
    }
    if (memchr(text, '\0', size) != NULL) {
        free(text);
        error_set(error, "%s: %s in the guest holds a zero byte", label, path);
        return NULL;
    }
    return text; /* malloc()ed and terminated by libguestfs; GLib's g_free() is free() */
}
