// SPDX-License-Identifier: Apache-2.0
/* The wall around libvirt: a connection, and the few calls that a deploy makes. */
#include "deploy/host.h"

#include "deploy/xml.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <unistd.h>

struct Host {
    virConnectPtr connection;
};

#define UNDEFINE_FLAGS                                                                                       \
    (VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |                             \
     VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM)

/* libvirt would print every error on stderr by itself. */
static void
stay_silent(void *data G_GNUC_UNUSED, virErrorPtr problem G_GNUC_UNUSED)
{
}

static bool
set_virt_error(GError **error, const char *what)
{
    const char *message = virGetLastErrorMessage();

    return error_set(error, "%s: %s", what, message);
}

char *
deploy_host_default_uri(void)
{
    const char *uri = getenv("LIBVIRT_DEFAULT_URI");

    if (uri != NULL && uri[0] != '\0')
        return g_strdup(uri);
    return g_strdup(geteuid() == 0 ? "qemu:///system" : "qemu:///session");
}

Host *
deploy_host_open(const char *uri, GError **error)
{
    g_autoptr(Host) host = g_new0(Host, 1);

    virSetErrorFunc(NULL, stay_silent);
    host->connection = virConnectOpen(uri);
    if (host->connection == NULL) {
        set_virt_error(error, uri);
        return NULL;
    }
    return g_steal_pointer(&host);
}

void
deploy_host_free(Host *host)
{
    if (host == NULL)
        return;
    if (host->connection != NULL)
        virConnectClose(host->connection);
    g_free(host);
}

char *
deploy_host_capabilities(Host *host, GError **error)
{
    char *text = virConnectGetCapabilities(host->connection);
    char *copy = g_strdup(text);

    if (text == NULL)
        set_virt_error(error, "libvirt's capabilities");
    free(text);
    return copy;
}

bool
deploy_host_check_name(Host *host, const char *name, GError **error)
{
    virDomainPtr domain = virDomainLookupByName(host->connection, name);

    if (domain != NULL) {
        virDomainFree(domain);
        return error_set_code(error, BASE_ERROR_EXISTS, "VM '%s' exists already", name);
    }
    return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || set_virt_error(error, name);
}

HostNetwork
deploy_host_network(Host *host, const char *name)
{
    virNetworkPtr network = virNetworkLookupByName(host->connection, name);
    HostNetwork state = HOST_NETWORK_MISSING;

    if (network != NULL) {
        state = virNetworkIsActive(network) == 1 ? HOST_NETWORK_ACTIVE : HOST_NETWORK_INACTIVE;
        virNetworkFree(network);
    }
    return state;
}

GHashTable *
deploy_host_macs(Host *host)
{
    GHashTable *macs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(host->connection, &domains, 0);

    for (int i = 0; i < n; i++) {
        char *xml = virDomainGetXMLDesc(domains[i], 0);

        if (xml != NULL)
            deploy_xml_collect_macs(xml, macs);
        free(xml);
        virDomainFree(domains[i]);
    }
    free(domains);
    return macs;
}

bool
deploy_host_define(Host *host, const char *name, const char *xml, GError **error)
{
    /* A name that was taken meanwhile has another UUID: libvirt refuses, nothing is overwritten. */
    virDomainPtr domain = virDomainDefineXML(host->connection, xml);

    if (domain == NULL)
        return set_virt_error(error, name);
    virDomainFree(domain);
    return true;
}

bool
deploy_host_start(Host *host, const char *uuid, const char *name, GError **error)
{
    virDomainPtr domain = virDomainLookupByUUIDString(host->connection, uuid);
    bool is_started = domain != NULL && virDomainCreate(domain) == 0;

    if (!is_started) {
        g_autofree char *what = g_strdup_printf("VM '%s' does not start", name);

        set_virt_error(error, what);
    }
    if (domain != NULL)
        virDomainFree(domain);
    return is_started;
}

bool
deploy_host_remove(Host *host, const char *uuid, GError **error)
{
    virDomainPtr domain = virDomainLookupByUUIDString(host->connection, uuid);
    bool is_removed;

    if (domain == NULL)
        return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || set_virt_error(error, uuid);
    if (virDomainIsActive(domain) == 1 && virDomainDestroy(domain) < 0 && virDomainIsActive(domain) == 1) {
        set_virt_error(error, virDomainGetName(domain));
        virDomainFree(domain);
        return false; /* undefined, it would run on, out of sight */
    }
    is_removed =
        virDomainUndefineFlags(domain, UNDEFINE_FLAGS) == 0 || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
    if (!is_removed)
        set_virt_error(error, virDomainGetName(domain));
    virDomainFree(domain);
    return is_removed;
}

void
deploy_host_domain_clear(HostDomain *domain)
{
    g_clear_pointer(&domain->name, g_free);
    g_clear_pointer(&domain->xml, g_free);
}

bool
deploy_host_domain(Host *host, const char *name, HostDomain *out_domain, GError **error)
{
    virDomainPtr domain = virDomainLookupByName(host->connection, name);
    char *xml;

    if (domain == NULL)
        domain = virDomainLookupByUUIDString(host->connection, name);
    if (domain == NULL)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "no VM is called '%s'", name);
    xml = virDomainGetXMLDesc(domain, 0);
    if (xml == NULL) {
        set_virt_error(error, name);
        virDomainFree(domain);
        return false;
    }
    *out_domain = (HostDomain){
        .name = g_strdup(virDomainGetName(domain)),
        .xml = g_strdup(xml),
        .is_running = virDomainIsActive(domain) != 0, /* not known (-1): it may */
        .has_saved_state = virDomainHasManagedSaveImage(domain, 0) == 1,
    };
    free(xml);
    virDomainFree(domain);
    return true;
}

char *
deploy_host_volume_path(Host *host, const char *pool, const char *volume, GError **error)
{
    virStoragePoolPtr found = virStoragePoolLookupByName(host->connection, pool);
    virStorageVolPtr vol = found != NULL ? virStorageVolLookupByName(found, volume) : NULL;
    char *path = vol != NULL ? virStorageVolGetPath(vol) : NULL;
    char *copy = g_strdup(path);

    if (path == NULL) {
        g_autofree char *what = g_strdup_printf("volume '%s' of pool '%s'", volume, pool);

        set_virt_error(error, what);
    }
    free(path);
    if (vol != NULL)
        virStorageVolFree(vol);
    if (found != NULL)
        virStoragePoolFree(found);
    return copy;
}
