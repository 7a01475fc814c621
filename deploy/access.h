// SPDX-License-Identifier: Apache-2.0
/* Whether qemu will be able to open what we make. Private to deploy/. */
#pragma once

#include "base/error.h"

/**
 * deploy_access_check: whether user @uid, group @gid can read file @base and pass into folder @disk_dir, as the kernel sees
 * it, ACLs included. Only root can ask for another user; for others it is always true.
 */
bool deploy_access_check(unsigned uid, unsigned gid, const char *base, const char *disk_dir, GError **error);
