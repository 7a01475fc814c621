// SPDX-License-Identifier: Apache-2.0
/* The libguestfs appliance: launch it with some disks, talk to it with GErrors, and close it without losing writes. */
#pragma once

#include "guest/guest.h"

#include <guestfs.h>

/** Appliance: (nullable) an open handle; freeing it without appliance_finish() drops what was not written yet. */
typedef guestfs_h Appliance;
void appliance_free(Appliance *appliance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Appliance, appliance_free)

typedef struct {
    const char *path;
    DiskFormat format;
    const char *label; /* for messages; NULL: @path */
} ApplianceDisk;

/* One virtio-scsi bus takes 255; the names end with one letter up to here, and a batch bounds the appliance's memory. */
#define APPLIANCE_MAX_DISKS 25u

typedef struct {
    GuestAccel
        accel; /* AUTO probes; a launch that fails under a KVM which was not asked for is repeated without it */
    bool is_read_only;  /* nothing is written to the disks */
    bool has_network;   /* programs of the guest may use the host's, through qemu's user-mode networking */
    bool is_rescue;     /* a shell waits on its console, beside the daemon */
    unsigned memory_mb; /* 0: enough for edits */
    unsigned cpus;      /* 0: one */
    const GuestAttached *attached; /* after the others, and read-only */
    unsigned n_attached;
} ApplianceOptions;

/**
 * appliance_launch: start an appliance with @disks, in their order: /dev/sda, /dev/sdb ...
 * @out_reason: (transfer full) (nullable): why it runs without KVM; untouched where it was set already
 */
Appliance *appliance_launch(const ApplianceDisk *disks, unsigned n, const ApplianceOptions *options,
                            char **out_reason, GError **error);

/** appliance_disk: the name of disk number @index inside the appliance, "/dev/sda". (transfer full) */
char *appliance_disk(unsigned index);

/** appliance_finish: unmount and shut down: the last moment at which a failed write is reported. */
bool appliance_finish(Appliance *appliance, const char *label, GError **error);

/**
 * appliance_fail: turn libguestfs's last error into "@label: cannot @what: ...". After Ctrl-C, which also ends the
 * appliance, it is BASE_ERROR_INTERRUPTED. Returns: false always
 */
bool appliance_fail(Appliance *appliance, const char *label, const char *what, GError **error);

/**
 * appliance_read: (transfer full) a small text file of the mounted guest; "" where it does not exist.
 * Refuses more than APPLIANCE_MAX_FILE bytes, and a NUL byte.
 */
char *appliance_read(Appliance *appliance, const char *path, const char *label, GError **error);
#define APPLIANCE_MAX_FILE (1u << 20) /* libguestfs's own limit for one message is 4 MiB */
