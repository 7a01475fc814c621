// SPDX-License-Identifier: Apache-2.0
/* Before anything is made: look at the host, decide what was left open, and refuse what cannot work. */
#include "base/file.h"
#include "base/paths.h"
#include "deploy/access.h"
#include "deploy/deployment.h"
#include "deploy/xml.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PASSWORD_LENGTH 16u /* of 56 letters: 92 bits */

void
deploy_clear(Deployment *d)
{
    deploy_result_clear(&d->result);
    fetch_image_free(d->image);
    deploy_host_free(d->host);
    fd_close(d->base.fd);
    g_free(d->disk_dir);
    g_free(d->arch);
    g_free(d->staging);
}

void
deploy_report(const Deployment *d, bool is_warning, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (d->request->report != NULL)
        d->request->report(is_warning, text);
}

static void
fill_random(void *data, size_t size)
{
    while (getrandom(data, size, 0) != (ssize_t)size) /* short only for more than 256 bytes, or a signal */
        g_assert(size <= 256 && errno == EINTR);
}

static bool
check_named_network(Deployment *d, GError **error)
{
    switch (deploy_host_network(d->host, d->network.name)) {
    case HOST_NETWORK_MISSING:
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "network '%s': libvirt has no such network",
                              d->network.name);
    case HOST_NETWORK_INACTIVE:
        return error_set(error, "network '%s': is not active (virsh net-start %s)", d->network.name,
                         d->network.name);
    default:
        return true;
    }
}

static bool
decide_network(Deployment *d, GError **error)
{
    const char *asked = d->request->network;
    g_autofree char *bridge = NULL;

    if (asked == NULL && d->is_session) {
        asked = "user"; /* a user may not plug into the host's bridges */
    } else if (asked == NULL && deploy_host_network(d->host, "default") == HOST_NETWORK_ACTIVE) {
        asked = "default";
    } else if (asked == NULL) {
        asked = "user";
        deploy_report(d, false, "libvirt's network 'default' is not active: user-mode networking is used");
    }
    d->result.network = g_strdup(asked);
    if (!deploy_plan_network_parse(d->result.network, &d->network, error))
        return false;
    if (d->network.kind == NETWORK_NAMED)
        return check_named_network(d, error);
    if (d->network.kind != NETWORK_BRIDGE)
        return true;
    bridge = g_build_filename("/sys/class/net", d->network.name, "bridge", NULL);
    return access(bridge, F_OK) == 0 ||
           error_set_code(error, BASE_ERROR_NOT_FOUND, "bridge '%s': this host has no such bridge",
                          d->network.name);
}

/* The appliance and the VMs may differ: libvirt must offer KVM too, and both only for this host's own kind of CPU. */
static bool
decide_acceleration(Deployment *d, const char *capabilities, GError **error)
{
    g_autofree char *reason = NULL;
    g_autofree char *state = path_state();
    struct utsname host;
    bool is_offered = deploy_xml_offers_kvm(capabilities, d->arch);

    d->accel = d->request->accel;
    if (d->accel == GUEST_ACCEL_AUTO)
        d->accel = guest_accel_probe(state, &reason);
    if (reason != NULL)
        deploy_report(d, true, "%s", reason);
    uname(&host);
    if (strcmp(host.machine, d->arch) != 0 && d->request->accel == GUEST_ACCEL_KVM)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--accel kvm: this host cannot run %s guests under KVM", d->arch);
    if (d->request->accel == GUEST_ACCEL_KVM && !is_offered)
        return error_set(error, "--accel kvm: libvirt at %s does not offer KVM for %s", d->result.uri,
                         d->arch);
    if (d->accel == GUEST_ACCEL_KVM && !is_offered)
        deploy_report(d, true, "libvirt at %s does not offer KVM for %s: the VMs run emulated, slowly",
                      d->result.uri, d->arch);
    d->result.is_kvm = d->accel == GUEST_ACCEL_KVM && is_offered;
    return true;
}

static char *
new_mac(GHashTable *taken)
{
    for (;;) {
        uint8_t random[3];
        char *mac;

        fill_random(random, sizeof random);
        mac = deploy_plan_mac(random);
        if (g_hash_table_add(taken, g_strdup(mac)))
            return mac;
        g_free(mac);
    }
}

static void
decide_identities(Deployment *d)
{
    g_autoptr(GHashTable) macs = deploy_host_macs(d->host);

    for (guint i = 0; i < d->result.vms->len; i++) {
        DeployVm *vm = g_ptr_array_index(d->result.vms, i);

        vm->uuid = g_uuid_string_random();
        if (d->network.kind != NETWORK_NONE)
            vm->mac = new_mac(macs);
        if (d->request->has_random_password)
            vm->root_password = deploy_plan_password(PASSWORD_LENGTH, fill_random);
        if (d->request->serial_log_dir != NULL) {
            g_autofree char *name = g_strconcat(vm->name, ".log", NULL);

            vm->serial_log = g_canonicalize_filename(name, d->request->serial_log_dir);
        }
    }
}

/* Neither a domain nor, under either format's name, a disk may be there. */
static bool
check_free(const Deployment *d, GError **error)
{
    static const char *const suffixes[] = {".qcow2", ".raw"};

    for (guint i = 0; i < d->result.vms->len; i++) {
        const DeployVm *vm = g_ptr_array_index(d->result.vms, i);

        if (!deploy_host_check_name(d->host, vm->name, error))
            return false;
        for (size_t s = 0; s < G_N_ELEMENTS(suffixes); s++) {
            g_autofree char *name = g_strconcat(vm->name, suffixes[s], NULL);
            g_autofree char *path = g_build_filename(d->disk_dir, name, NULL);

            if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return error_set_code(error, BASE_ERROR_EXISTS, "%s: exists already", path);
        }
    }
    return true;
}

static bool
decide_folders(Deployment *d, GError **error)
{
    g_autofree char *fallback = path_disks();
    g_autofree char *here = g_get_current_dir();

    d->disk_dir =
        g_canonicalize_filename(d->request->disk_dir != NULL ? d->request->disk_dir : fallback, here);
    return deploy_plan_path_check(d->disk_dir, error) &&
           (d->request->serial_log_dir == NULL || deploy_plan_path_check(d->request->serial_log_dir, error));
}

bool
deploy_prepare_host(Deployment *d, GError **error)
{
    g_autofree char *capabilities = NULL;
    struct utsname host;

    uname(&host);
    d->arch = g_strdup(d->request->arch != NULL ? d->request->arch : host.machine);
    d->result.image = g_strdup(d->request->image);
    d->result.uri = d->request->uri != NULL ? g_strdup(d->request->uri) : deploy_host_default_uri();
    d->result.vms = deploy_plan_vms(d->request, error);
    if (d->result.vms == NULL || !decide_folders(d, error) ||
        !deploy_plan_uri_check(d->result.uri, &d->is_session, error))
        return false;
    d->host = deploy_host_open(d->result.uri, error);
    if (d->host == NULL || !check_free(d, error) || !decide_network(d, error))
        return false;
    capabilities = deploy_host_capabilities(d->host, error);
    if (capabilities == NULL || !decide_acceleration(d, capabilities, error))
        return false;
    d->has_qemu_user = !d->is_session && deploy_xml_qemu_user(capabilities, &d->qemu_uid, &d->qemu_gid);
    decide_identities(d);
    return true;
}

static void
decide_disks(Deployment *d)
{
    for (guint i = 0; i < d->result.vms->len; i++) {
        DeployVm *vm = g_ptr_array_index(d->result.vms, i);
        g_autofree char *name =
            g_strdup_printf("%s.%s", vm->name, disk_format_name(deploy_disks_format(d->result.mode)));

        vm->disk = g_build_filename(d->disk_dir, name, NULL);
    }
}

/* Whose cache it is cannot see this user's clones, and may remove their base. */
static bool
decide_shared(Deployment *d, const char **out_reason, GError **error)
{
    if (d->request->mode == DEPLOY_LINKED)
        return error_set(
            error,
            "%s: is in the cache of this host, whose owner would not know of a linked clone; use "
            "--full, or set VIRT_DEPOT_SHARED_CACHE to nothing and pull it into a cache of your own",
            d->image->path);
    d->result.mode = DEPLOY_FULL;
    *out_reason =
        d->request->mode == DEPLOY_FULL ? NULL : "full copies: the image is in the cache of this host";
    return true;
}

bool
deploy_prepare_image(Deployment *d, GError **error)
{
    g_autoptr(GPtrArray) warnings = NULL;
    g_autofree char *cache = NULL;
    const char *reason;

    d->image = fetch_image(d->request->image, d->request->arch, d->request->is_offline, &warnings, error);
    for (guint i = 0; warnings != NULL && i < warnings->len; i++)
        deploy_report(d, true, "%s", (const char *)g_ptr_array_index(warnings, i));
    if (d->image == NULL || !deploy_disks_open_base(d->image->path, d->image->format, &d->base, error) ||
        !deploy_plan_size(d->request->size_bytes, d->base.size, &d->result.size_bytes, error) ||
        !file_make_dirs(d->disk_dir, 0711, error))
        return false;
    cache = g_path_get_dirname(d->image->path);
    d->result.mode =
        deploy_plan_mode(d->request->mode, d->base.format, disk_can_reflink(cache, d->disk_dir), &reason);
    if (d->image->is_shared && !decide_shared(d, &reason, error))
        return false;
    if (reason != NULL)
        deploy_report(d, false, "%s", reason);
    d->result.base = g_strdup(d->image->path);
    d->result.source = g_strdup(d->image->source);
    d->result.revision = d->image->entry->revision;
    decide_disks(d);
    return !d->has_qemu_user ||
           deploy_access_check(d->qemu_uid, d->qemu_gid,
                               d->result.mode == DEPLOY_LINKED ? d->result.base : NULL, d->disk_dir, error);
}

bool
deploy_prepare_without_image(Deployment *d, GError **error)
{
    g_autofree char *cache = path_cache();
    const char *reason;

    /* The image's own format decides too; nearly all are raw. Folders that are not there yet cannot be tried. */
    d->result.mode = d->request->mode;
    if (access(cache, W_OK) == 0 && access(d->disk_dir, W_OK) == 0)
        d->result.mode =
            deploy_plan_mode(d->request->mode, DISK_RAW, disk_can_reflink(cache, d->disk_dir), &reason);
    d->result.size_bytes = d->request->size_bytes;
    if (d->result.mode != DEPLOY_AUTO)
        decide_disks(d);
    return deploy_plan_size(d->request->size_bytes, 0, &d->result.size_bytes, error);
}
