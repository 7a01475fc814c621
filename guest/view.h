// SPDX-License-Identifier: Apache-2.0
/* A guest in an appliance of its own, for whoever looks into it. */
#pragma once

#include "guest/appliance.h"
#include "guest/workcopy.h"

struct GuestView {
    Appliance *g;
    char *label;
    WorkCopy *works; /* @n disks, under their locks */
    unsigned n;
    bool is_writable;
    GuestInfo *info; /* NULL before guest_view_mount(), and where the mounts were given */
    GPtrArray *warnings;
};

/** view_fail: appliance_fail() with "cannot @verb @path". */
bool view_fail(GuestView *view, const char *verb, const char *path, GError **error);

/** view_check_writable: BASE_ERROR_USAGE where the guest was opened for reading. */
bool view_check_writable(const GuestView *view, const char *verb, GError **error);
