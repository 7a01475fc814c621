// SPDX-License-Identifier: Apache-2.0
/*
 * Visits the guests on some disks, one after the other, in as few appliance launches as they fit. Clones carry the same LVM,
 * btrfs and XFS identities, so LVM sees one disk at a time and everything is unmounted before the next.
 */
#pragma once

#include "guest/appliance.h"

typedef struct {
    const char *path;
    DiskFormat format;
    const char *label; /* for messages */
} VisitDisk;

/** Visit: one guest, and the appliance in which it is. */
typedef struct {
    Appliance *g;
    const char *disk;      /* "/dev/sdb" */
    const GuestInfo *info; /* as layout_read() finds it, with the names of this disk */
    const GuestKeys *keys; /* (nullable) */
    const char *label;
    unsigned number; /* of the disk among all that are visited */
} Visit;

/** VisitFunc: false with @error set ends all visits. */
typedef bool (*VisitFunc)(const Visit *visit, void *context, GError **error);

typedef struct {
    ApplianceOptions appliance;
    bool is_same_image;     /* the disks are clones: what was found on the first holds for all of them */
    VisitFunc before_mount; /* (nullable) nothing is mounted, nor may be afterwards */
    VisitFunc mounted;      /* (nullable) all of the guest's file systems are mounted, as its fstab says */
    const GuestKeys *keys;  /* (nullable) of encrypted disks */
    void *context;
} VisitPlan;

/**
 * visit_each: call the plan's functions for each of @n disks, then write everything back and sync the disks (not where the
 * appliance is read-only). After a failure disks may be half edited.
 * @progress: (nullable) gets one unit per finished guest
 * @out_reason: as in guest_inspect(); untouched where it was set already
 */
bool visit_each(const VisitDisk *disks, unsigned n, const VisitPlan *plan, Progress *progress,
                char **out_reason, GError **error);
