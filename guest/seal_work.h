// SPDX-License-Identifier: Apache-2.0
/* One guest that is being sealed, for the files that do it: seal.c, seal_files.c, seal_accounts.c and seal_devices.c. */
#pragma once

#include "guest/seal.h"

typedef struct {
    const Visit *visit;
    const SealJob *job;
    SealReport *report;
    GPtrArray *uuids; /* (element-type utf8) of file systems: old one, new one, old one ... */
} SealWork;

/** seal_tell: note something that is removed or changed. @bytes: 0 for a change */
void seal_tell(const SealWork *work, const SealRow *row, const char *path, uint64_t bytes);

/** seal_note: what could not or need not be done. */
void seal_note(const SealWork *work, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** seal_is_chosen: whether the operation @name is chosen, and for this guest. */
bool seal_is_chosen(const SealWork *work, const char *name);

bool seal_fail(const SealWork *work, const char *what, const char *path, GError **error);

/** seal_files: everything that the table has patterns for. @only_remade: what customizing brings about */
bool seal_files(const SealWork *work, bool only_remade, GError **error);

/** seal_backups: editors' backup files. */
bool seal_backups(const SealWork *work, GError **error);

/** seal_remove: the file, or the folder with all that is in it; told, and not done in a dry run. */
bool seal_remove(const SealWork *work, const SealRow *row, const char *path, bool is_folder, uint64_t bytes,
                 GError **error);

/** seal_rewrite: @path holds @new instead of @old, if that is another text; told. */
bool seal_rewrite(const SealWork *work, const SealRow *row, const char *path, const char *old,
                  const char *new, GError **error);

/** seal_accounts: users, their groups and homes. */
bool seal_accounts(const SealWork *work, GError **error);

/** seal_devices: LVM's and file systems' UUIDs, swap. Nothing may be mounted, nor is. */
bool seal_devices(const SealWork *work, GError **error);

/** seal_uuids: the file systems' new UUIDs into what the system boots by. */
bool seal_uuids(const SealWork *work, GError **error);

/** seal_trim: what is free in the file systems is no part of the image any more. */
bool seal_trim(const SealWork *work, GError **error);
