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
