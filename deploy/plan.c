// SPDX-License-Identifier: Apache-2.0
/* Decisions about new VMs: names, host names, sizes, clone mode, addresses. Pure: what it needs to know is
 * given. */
#include "deploy/plan.h"

#include "base/file.h"

#include <string.h>

#define SECTOR_BYTES 512u
#define MAX_NAME_BYTES 200u     /* with "-1000.qcow2" still one file name */
#define MAX_HOSTNAME_BYTES 64u  /* Linux's __NEW_UTS_LEN */
#define MAX_LABEL_BYTES 63u     /* RFC 1035, 2.3.4 */
#define MAX_INTERFACE_BYTES 15u /* IFNAMSIZ without its zero byte */

void
deploy_vm_free(DeployVm *vm)
{
    if (vm == NULL)
        return;
    g_free(vm->name);
    g_free(vm->hostname);
    g_free(vm->uuid);
    g_free(vm->mac);
    g_free(vm->disk);
    g_free(vm->serial_log);
    g_free(vm->root_password);
    g_free(vm);
}

void
deploy_result_clear(DeployResult *result)
{
    g_clear_pointer(&result->vms, g_ptr_array_unref);
    g_clear_pointer(&result->uri, g_free);
    g_clear_pointer(&result->image, g_free);
    g_clear_pointer(&result->source, g_free);
    g_clear_pointer(&result->base, g_free);
    g_clear_pointer(&result->network, g_free);
}

/* Whether @text consists of letters, digits and @more alone. */
static bool
has_only(const char *text, const char *more)
{
    for (; *text != '\0'; text++)
        if (!g_ascii_isalnum(*text) && strchr(more, *text) == NULL)
            return false;
    return true;
}

bool
deploy_plan_network_parse(const char *text, Network *out_network, GError **error)
{
    Network network = {NETWORK_NAMED, text};

    if (strcmp(text, "none") == 0)
        network = (Network){NETWORK_NONE, NULL};
    else if (strcmp(text, "user") == 0)
        network = (Network){NETWORK_USER, NULL};
    else if (g_str_has_prefix(text, "bridge:"))
        network = (Network){NETWORK_BRIDGE, text + strlen("bridge:")};
    if (network.kind == NETWORK_BRIDGE &&
        (!file_is_name(network.name) || strlen(network.name) > MAX_INTERFACE_BYTES ||
         !has_only(network.name, "-._")))
        return error_set_code(error, BASE_ERROR_USAGE, "--network %s: not the name of a bridge", text);
    if (network.kind == NETWORK_NAMED && (!file_is_name(text) || !deploy_plan_path_check(text, NULL)))
        return error_set_code(error, BASE_ERROR_USAGE, "--network %s: not the name of a network", text);
    *out_network = network;
    return true;
}

bool
deploy_plan_uri_check(const char *uri, bool *out_is_session, GError **error)
{
    const char *path = NULL;
    size_t length;

    if (g_str_has_prefix(uri, "qemu://"))
        path = uri + strlen("qemu://");
    else if (g_str_has_prefix(uri, "qemu+unix://"))
        path = uri + strlen("qemu+unix://");
    else
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "%s: only this host's own libvirt can be used, qemu:///system or qemu:///session", uri);
    length = strcspn(path, "?#");
    if (length == strlen("/system") && strncmp(path, "/system", length) == 0)
        *out_is_session = false;
    else if (length == strlen("/session") && strncmp(path, "/session", length) == 0)
        *out_is_session = true;
    else
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "%s: other hosts are not supported yet, only qemu:///system and qemu:///session", uri);
    return deploy_plan_path_check(uri, error);
}

bool
deploy_plan_path_check(const char *path, GError **error)
{
    bool is_good = g_utf8_validate(path, -1, NULL);

    for (const char *at = path; is_good && *at != '\0'; at++)
        is_good = (unsigned char)*at >= 0x20 && *at != 0x7f;
    return is_good ||
           error_set_code(error, BASE_ERROR_USAGE,
                          "%s: holds control characters or is not UTF-8, which libvirt does not take", path);
}

/* RFC 1123, 2.1: labels of letters, digits and inner hyphens. */
static bool
is_hostname(const char *text)
{
    g_auto(GStrv) labels = g_strsplit(text, ".", -1);

    if (strlen(text) > MAX_HOSTNAME_BYTES || labels[0] == NULL)
        return false;
    for (char **label = labels; *label != NULL; label++) {
        size_t length = strlen(*label);

        if (length == 0 || length > MAX_LABEL_BYTES || !has_only(*label, "-") || (*label)[0] == '-' ||
            (*label)[length - 1] == '-')
            return false;
    }
    return true;
}

/* web + 2 = web-2; for host names web.example.org + 2 = web-2.example.org. */
static char *
numbered(const char *text, unsigned number, bool is_hostname_text)
{
    const char *dot = is_hostname_text ? strchr(text, '.') : NULL;
    int head = dot == NULL ? (int)strlen(text) : (int)(dot - text);

    return g_strdup_printf("%.*s-%u%s", head, text, number, dot == NULL ? "" : dot);
}

static DeployVm *
plan_vm(const DeployRequest *request, unsigned number, GError **error)
{
    const char *hostname = request->hostname != NULL ? request->hostname : request->name;
    DeployVm *vm = g_new0(DeployVm, 1);

    vm->name = number == 0 ? g_strdup(request->name) : numbered(request->name, number, false);
    /* Without --hostname the VM's name is the host's, so that web.1 in three becomes web.1-2 in both. */
    vm->hostname = number == 0 ? g_strdup(hostname) : numbered(hostname, number, request->hostname != NULL);
    if (request->is_uncustomized || is_hostname(vm->hostname))
        return vm;
    if (request->hostname != NULL)
        error_set_code(error, BASE_ERROR_USAGE, "--hostname %s: cannot be a host name", vm->hostname);
    else
        error_set_code(error, BASE_ERROR_USAGE, "'%s' cannot be a host name: give one with --hostname",
                       vm->hostname);
    deploy_vm_free(vm);
    return NULL;
}

GPtrArray *
deploy_plan_vms(const DeployRequest *request, GError **error)
{
    g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func((GDestroyNotify)deploy_vm_free);

    if (!file_is_name(request->name) || request->name[0] == '-' || strlen(request->name) > MAX_NAME_BYTES ||
        !has_only(request->name, "-._+")) {
        error_set_code(error, BASE_ERROR_USAGE,
                       "'%s' cannot be the name of a VM: letters, digits, '-', '.', '_' and '+', at most %u",
                       request->name, MAX_NAME_BYTES);
        return NULL;
    }
    if (request->count == 0 || request->count > DEPLOY_MAX_COUNT) {
        error_set_code(error, BASE_ERROR_USAGE, "--count must be from 1 to %u", DEPLOY_MAX_COUNT);
        return NULL;
    }
    for (unsigned i = 0; i < request->count; i++) {
        DeployVm *vm = plan_vm(request, request->count == 1 ? 0 : i + 1, error);

        if (vm == NULL)
            return NULL;
        g_ptr_array_add(vms, vm);
    }
    return g_steal_pointer(&vms);
}

DeployMode
deploy_plan_mode(DeployMode asked, DiskFormat base_format, bool can_reflink, const char **out_reason)
{
    *out_reason = NULL;
    if (asked != DEPLOY_AUTO)
        return asked;
    if (base_format == DISK_RAW && can_reflink) {
        *out_reason = "full copies: the file system shares their blocks with the image (reflink)";
        return DEPLOY_FULL;
    }
    *out_reason = can_reflink ? "linked clones: the image is qcow2, so a full copy would have to be converted"
                              : "linked clones: the file system cannot share blocks (no reflink)";
    return DEPLOY_LINKED;
}

/* (transfer full) exactly, and as the user would write it: "20G", "1M", "1000". */
static char *
short_size(uint64_t bytes)
{
    static const char UNITS[] = {'K', 'M', 'G', 'T'};
    size_t unit = 0;

    if (bytes == 0 || bytes % 1024 != 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)bytes);
    for (bytes /= 1024; bytes % 1024 == 0 && unit + 1 < G_N_ELEMENTS(UNITS); unit++)
        bytes /= 1024;
    return g_strdup_printf("%" G_GUINT64_FORMAT "%c", (guint64)bytes, UNITS[unit]);
}

bool
deploy_plan_size(uint64_t asked, uint64_t image_size, uint64_t *out_size, GError **error)
{
    uint64_t size = asked == 0 ? image_size : asked;

    if (size < image_size) {
        g_autofree char *wanted = short_size(asked), *least = short_size(image_size);

        return error_set_code(error, BASE_ERROR_USAGE, "--size %s: is less than the image's %s", wanted,
                              least);
    }
    *out_size = (size + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    return true;
}

char *
deploy_plan_mac(const uint8_t random[3])
{
    return g_strdup_printf("52:54:00:%02x:%02x:%02x", random[0], random[1], random[2]);
}

char *
deploy_plan_password(size_t length, void (*fill_random)(void *data, size_t size))
{
    static const char ALPHABET[] =
        "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"; /* no l 1 I o O 0 */
    const unsigned n = sizeof ALPHABET - 1, fair = 256 / n * n;
    GString *text = g_string_new(NULL);

    while (text->len < length) {
        uint8_t byte;

        fill_random(&byte, sizeof byte);
        if (byte < fair) /* else the first letters would come up more often */
            g_string_append_c(text, ALPHABET[byte % n]);
    }
    return g_string_free(text, FALSE);
}

const char *
deploy_plan_mode_name(DeployMode mode)
{
    return mode == DEPLOY_LINKED ? "linked" : mode == DEPLOY_FULL ? "full" : "auto";
}
