// SPDX-License-Identifier: Apache-2.0
/* What is installed in a mounted guest. */
#pragma once

#include "guest/appliance.h"

/** software_read: fill @info->packages, which stays NULL where libguestfs knows no package manager of the guest. */
bool software_read(Appliance *g, GuestInfo *info, const char *label, GError **error);

/**
 * software_version: (transfer full) (nullable) "epoch:version-release" as package managers write it, from the parts that
 * libguestfs takes it apart to. Pure.
 */
char *software_version(int epoch, const char *version, const char *release);
