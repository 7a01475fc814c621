// SPDX-License-Identifier: Apache-2.0
/*
 * What sealing a guest does: virt-sysprep's operations by their names and defaults (virt-sysprep(1)), and more. Data only:
 * seal_plan.c decides, seal.c carries out.
 */
#pragma once

#include <stdbool.h>

/* What an operation does besides removing what its patterns match. */
typedef enum {
    SEAL_REMOVE,     /* nothing */
    SEAL_DROP_LINES, /* the files stay, but for the lines that start with one of @lines */
    SEAL_REPLACE,    /* each file of @files that is there holds @lines[0] and is not removed */
    SEAL_ACCOUNTS,
    SEAL_BACKUPS,
    SEAL_CERTIFICATES,
    SEAL_CUSTOMIZE,
    SEAL_FS_UUIDS,
    SEAL_HOST_KEYS,
    SEAL_LVM_UUIDS,
    SEAL_MACHINE_ID,
    SEAL_SWAP,
    SEAL_UNCONFIGURED,
} SealAction;

typedef enum { SEAL_ANY, SEAL_DEBIAN, SEAL_REDHAT, SEAL_CLOUD_INIT } SealGuests;

/**
 * SealRow: one operation. Patterns are those of glob(7), absolute, or "~/..." for the home of each user; lists end with NULL and
 * may be NULL.
 */
typedef struct {
    const char *name;
    const char *heading;
    bool is_default;
    bool is_remade; /* customizing may bring it about anew, so that it is done once more afterwards */
    SealGuests guests;
    SealAction action;
    const char *const *files; /* what matches and is no folder is removed */
    const char *const *trees; /* what matches is removed with all that is below it */
    const char *const *kept;  /* paths that are never removed */
    const char *const *lines;
} SealRow;

/** seal_rows: ordered by name, ended by a row without a name. */
const SealRow *seal_rows(void);
unsigned seal_n_rows(void);

/** seal_row: the row called @name, or NULL. */
const SealRow *seal_row(const char *name);
