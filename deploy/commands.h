// SPDX-License-Identifier: Apache-2.0
/* What the verbs "guest ..." and the lines of "guest shell" have in common: they print. Private to deploy/. */
#pragma once

#include "deploy/subject.h"

typedef struct {
    bool is_recursive, is_long, is_json;
} ListStyle;

/** commands_ls: the folders @paths (NULL-terminated), to standard output. */
bool commands_ls(GuestView *view, char *const *paths, const ListStyle *style, GError **error);

/** commands_cat: the files @paths, one after the other. */
bool commands_cat(GuestView *view, char *const *paths, GError **error);

/** commands_copy_in, commands_copy_out: all of @paths but the last into the folder that is the last. */
bool commands_copy_in(GuestView *view, char *const *paths, GError **error);
bool commands_copy_out(GuestView *view, char *const *paths, GError **error);

/** commands_edit: let the user edit the file @path with $VISUAL, $EDITOR or vi. @backup: as in guest_view_replace() */
bool commands_edit(GuestView *view, const char *path, const char *backup, GError **error);

typedef struct {
    bool is_all, is_long, is_human, is_json;
} VolumeStyle;

bool commands_filesystems(GuestView *view, const VolumeStyle *style, GError **error);
bool commands_df(GuestView *view, const VolumeStyle *style, GError **error);
