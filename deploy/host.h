// SPDX-License-Identifier: Apache-2.0
/* A connection to libvirt. Private to deploy/. */
#pragma once

#include "base/error.h"

#include <glib.h>

typedef struct Host Host;

/** deploy_host_default_uri: (transfer full) $LIBVIRT_DEFAULT_URI, else qemu:///system for root and qemu:///session.
 */
char *deploy_host_default_uri(void);

Host *deploy_host_open(const char *uri, GError **error);
void deploy_host_free(Host *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, deploy_host_free)

/** deploy_host_capabilities: (transfer full) the XML of what this libvirt offers. */
char *deploy_host_capabilities(Host *host, GError **error);

/** deploy_host_check_name: BASE_ERROR_EXISTS where a domain has the name. */
bool deploy_host_check_name(Host *host, const char *name, GError **error);

typedef enum { HOST_NETWORK_MISSING, HOST_NETWORK_INACTIVE, HOST_NETWORK_ACTIVE } HostNetwork;
HostNetwork deploy_host_network(Host *host, const char *name);

/** deploy_host_macs: (element-type utf8) (transfer full) the set of every domain's MAC addresses, in lower case. */
GHashTable *deploy_host_macs(Host *host);

bool deploy_host_define(Host *host, const char *name, const char *xml, GError **error);
bool deploy_host_start(Host *host, const char *uuid, const char *name, GError **error);

/** deploy_host_remove: stop and undefine the domain with its saved state, snapshots' metadata and NVRAM, but no
 * disk. One that is not there is success. */
bool deploy_host_remove(Host *host, const char *uuid, GError **error);

/** HostDomain: a domain as it is now. */
typedef struct {
    char *name;
    char *xml; /* of the running one where it runs */
    bool is_running;
    bool has_saved_state; /* a memory image that expects the disks as they are */
} HostDomain;
void deploy_host_domain_clear(HostDomain *domain);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HostDomain, deploy_host_domain_clear)

/** deploy_host_domain: the domain called @name, or with that UUID. Errors: BASE_ERROR_NOT_FOUND */
bool deploy_host_domain(Host *host, const char *name, HostDomain *out_domain, GError **error);

/** deploy_host_volume_path: (transfer full) where the volume @volume of the storage pool @pool lies. */
char *deploy_host_volume_path(Host *host, const char *pool, const char *volume, GError **error);
