// SPDX-License-Identifier: Apache-2.0
/* Seals guests: takes out of their disks whatever no two clones should share. One appliance for all disks. */
#pragma once

#include "guest/seal_plan.h"
#include "guest/visit.h"

/** SealJob: what to do. Everything is borrowed. */
typedef struct {
    SealSet set;
    const GuestOps *ops;              /* (nullable) of the operation "customize" */
    const char *const *keep_accounts; /* (nullable) of "user-account" */
    const char *const *remove_accounts;
    bool is_dry_run; /* tell what would be done; nothing is written */
    ApplianceOptions appliance;
    /** tell_password: as GuestRun has it */
    void (*tell_password)(unsigned number, const char *user, const char *password, void *context);
    void *context;
} SealJob;

/** SealItem: something that was removed or changed. */
typedef struct {
    const SealRow *row;
    char *path;     /* in the guest; or a device */
    uint64_t bytes; /* on the disk, that are free now; 0 where something was changed */
} SealItem;

/** SealReport: what was done to one guest. */
typedef struct {
    GPtrArray *items; /* (element-type SealItem) */
    GPtrArray *notes; /* (element-type utf8) what could not or need not be done, and why */
} SealReport;
void seal_report_clear(SealReport *report);

/**
 * seal_disks: seal the @n guests in as few appliances as they fit. After a failure disks may be half sealed.
 * @out_reports: (transfer full) one for each disk; to be cleared after a failure, too
 * @progress: (nullable) gets one unit per finished guest
 * @out_reason: as in guest_inspect()
 */
bool seal_disks(const VisitDisk *disks, unsigned n, const SealJob *job, SealReport *out_reports,
                Progress *progress, char **out_reason, GError **error);
