// SPDX-License-Identifier: Apache-2.0
/* Decisions about new VMs, without I/O. Private to deploy/. */
#pragma once

#include "deploy/deploy.h"

#include <stddef.h>

typedef enum { NETWORK_NONE, NETWORK_USER, NETWORK_NAMED, NETWORK_BRIDGE } NetworkKind;

typedef struct {
    NetworkKind kind;
    const char *name; /* points into the parsed text; NULL for NONE and USER */
} Network;

/** deploy_plan_network_parse: "none", "user", "bridge:BR", else the name of a libvirt network. */
bool deploy_plan_network_parse(const char *text, Network *out_network, GError **error);

/**
 * deploy_plan_uri_check: only this host's own qemu drivers: qemu:///system, qemu:///session and their qemu+unix
 * forms.
 * @out_is_session: whether the VMs run as the calling user
 */
bool deploy_plan_uri_check(const char *uri, bool *out_is_session, GError **error);

/** deploy_plan_path_check: whether @path can stand in XML and in a journal: UTF-8 without control characters. */
bool deploy_plan_path_check(const char *path, GError **error);

/**
 * deploy_plan_vms: names and host names of the VMs that @request asks for; the rest of each is NULL.
 * Returns: (element-type DeployVm) (transfer full) or NULL: a name or host name that cannot be
 */
GPtrArray *deploy_plan_vms(const DeployRequest *request, GError **error);

/**
 * deploy_plan_mode: what AUTO becomes.
 * @out_reason: static text for a note, or NULL where the user chose
 */
DeployMode deploy_plan_mode(DeployMode asked, DiskFormat base_format, bool can_reflink,
                            const char **out_reason);

/** deploy_plan_size: the size of the new disks: @asked or the image's, in whole sectors, never less than the
 * image's. */
bool deploy_plan_size(uint64_t asked, uint64_t image_size, uint64_t *out_size, GError **error);

/** deploy_plan_mac: (transfer full) an address of qemu's range from three random bytes. */
char *deploy_plan_mac(const uint8_t random[3]);

/** deploy_plan_password: (transfer full) @length letters and digits that are not mistaken for one another. */
char *deploy_plan_password(size_t length, void (*fill_random)(void *data, size_t size));

/** deploy_plan_mode_name: "linked", "full" or "auto". */
const char *deploy_plan_mode_name(DeployMode mode);
