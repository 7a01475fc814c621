// SPDX-License-Identifier: Apache-2.0
#include "guest/kernel.h"

#include "base/file.h"
#include "guest/visit.h"
#include "index/index.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES                                                                                            \
    (1ll << 30) /* the largest initial RAM disks, with every driver and firmware, have some 200 MiB */

/* "/boot/vmlinuz-6.1.0-9-amd64" -> "6.1.0-9-amd64" */
static const char *
version_of(const char *path)
{
    const char *leaf = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    const char *dash = strchr(leaf, '-');

    return dash == NULL ? "" : dash + 1;
}

const char *
kernel_choose(char *const *kernels)
{
    const char *best = NULL;

    for (; *kernels != NULL; kernels++) {
        bool is_rescue = strstr(*kernels, "-rescue") != NULL;
        bool best_is_rescue = best != NULL && strstr(best, "-rescue") != NULL;

        if (best == NULL || is_rescue < best_is_rescue ||
            (is_rescue == best_is_rescue &&
             index_version_compare(version_of(*kernels), version_of(best)) > 0))
            best = *kernels;
    }
    return best;
}

const char *
kernel_choose_initrd(const char *kernel, char *const *initrds)
{
    const char *version = version_of(kernel);

    for (; *initrds != NULL; initrds++) {
        const char *leaf = strrchr(*initrds, '/') == NULL ? *initrds : strrchr(*initrds, '/') + 1;
        g_autofree char *has = g_strdup(version_of(leaf));

        if (g_str_has_prefix(leaf, "initramfs-") && g_str_has_suffix(has, ".img"))
            has[strlen(has) - strlen(".img")] = '\0';
        if (strcmp(has, version) == 0)
            return *initrds;
    }
    return NULL;
}

typedef struct {
    const KernelRequest *request;
    char *kernel, *initrd; /* where they are now */
} Fetch;

static char **
glob(const Visit *visit, const char *pattern, GError **error)
{
    char **found = guestfs_glob_expand(visit->g, pattern);

    if (found == NULL)
        appliance_fail(visit->g, visit->label, "look into /boot", error);
    return found;
}

/* download: (transfer full) the local copy of the guest's file @path, whole or not at all. */
static char *
download(const Visit *visit, const Fetch *fetch, const char *path, GError **error)
{
    g_autofree char *leaf = g_path_get_basename(path), *part = NULL;
    g_autofree char *target = g_build_filename(fetch->request->folder, leaf, NULL);
    int64_t size = guestfs_filesize(visit->g, path);
    g_auto(Fd) fd = -1;
    bool is_ok;

    if (size < 0 || size > MAX_BYTES || !file_is_name(leaf)) {
        error_set(error, "%s: %s: is no kernel file of at most 1 GiB", visit->label, path);
        return NULL;
    }
    if (!fetch->request->may_replace && g_file_test(target, G_FILE_TEST_EXISTS)) {
        error_set_code(error, BASE_ERROR_EXISTS, "%s: exists already; --force replaces it", target);
        return NULL;
    }
    fd = file_open_temporary(fetch->request->folder, &part, error);
    if (fd < 0)
        return NULL;
    is_ok = guestfs_download(visit->g, path, part) == 0 ||
            appliance_fail(visit->g, visit->label, "copy the kernel out", error);
    if (is_ok && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
        is_ok = error_set_errno(error, "%s: cannot be written", target);
    if (is_ok && !fetch->request->may_replace)
        is_ok = file_rename_new(part, target, error);
    else if (is_ok && rename(part, target) < 0)
        is_ok = error_set_errno(error, "%s: cannot be put into place", target);
    if (!is_ok)
        unlink(part);
    return is_ok ? g_steal_pointer(&target) : NULL;
}

static bool
copy_out(const Visit *visit, void *context, GError **error)
{
    Fetch *fetch = context;
    g_auto(GStrv) kernels = glob(visit, "/boot/vmlinuz-*", error);
    g_auto(GStrv) initrds =
        kernels == NULL ? NULL : glob(visit, "/boot/{initramfs,initrd,initrd.img}-*", error);
    const char *kernel, *initrd;

    if (initrds == NULL)
        return false;
    kernel = kernel_choose(kernels);
    if (kernel == NULL)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there is no /boot/vmlinuz-* in it",
                              visit->label);
    initrd = kernel_choose_initrd(kernel, initrds);
    fetch->kernel = download(visit, fetch, kernel, error);
    if (fetch->kernel != NULL && initrd != NULL)
        fetch->initrd = download(visit, fetch, initrd, error);
    return fetch->kernel != NULL && (initrd == NULL || fetch->initrd != NULL);
}

bool
kernel_get(const KernelRequest *request, const GuestRun *run, char **out_kernel, char **out_initrd,
           GError **error)
{
    const VisitDisk disk = {request->disk, request->format, request->disk};
    g_autofree char *reason = NULL;
    Fetch fetch = {.request = request};
    const VisitPlan plan = {.appliance = {.accel = run->accel,
                                          .is_read_only = true,
                                          .memory_mb = run->memory_mb,
                                          .cpus = run->cpus},
                            .mounted = copy_out,
                            .context = &fetch};

    if (!visit_each(&disk, 1, &plan, run->progress, &reason, error)) {
        g_free(fetch.kernel);
        g_free(fetch.initrd);
        return false;
    }
    *out_kernel = fetch.kernel;
    *out_initrd = fetch.initrd;
    return true;
}
