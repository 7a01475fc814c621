// SPDX-License-Identifier: Apache-2.0
/* Files by path: atomic replacement, opening beneath a folder, locks, trees. Every write here survives kill
 * -9: either the old content or the new one is found afterwards, never a mix. */
#pragma once

#include "base/fd.h"

/** file_make_dirs: mkdir -p -m @mode: parents that have to be made get 0755, existing folders stay as they are. */
bool file_make_dirs(const char *path, mode_t mode, GError **error);

/**
 * file_write_atomic: write a temporary file beside @path, fsync, rename over @path, fsync the folder. What a killed
 * writer left in the folder (".new-...", which nobody holds locked) is swept first.
 */
bool file_write_atomic(const char *path, const void *data, size_t size, mode_t mode, GError **error);

/**
 * file_open_temporary: a new file ".new-XXXXXX" in @dir, mode 0600, locked with flock() for as long as it is open: the next
 * one made in @dir removes it if nobody holds the lock any more. What killed ones left is swept first.
 * Returns: an owned descriptor, open for reading and writing, or -1 with @error set (errno is kept)
 */
int file_open_temporary(const char *dir, char **out_path, GError **error);

/** file_is_still_named: whether the open file is what stands under @path. */
bool file_is_still_named(int fd, const char *path);

/** file_read: a whole regular file; refuses more than @max_bytes. Returns: (transfer full) or NULL. */
GBytes *file_read(const char *path, size_t max_bytes, GError **error);

/** file_sync_dir: fsync the folder @path itself, which makes renames in it durable. */
bool file_sync_dir(const char *path, GError **error);

/** file_remove: unlink; a file that is not there is success. */
bool file_remove(const char *path, GError **error);

/** file_rename_new: rename where nothing has the name @to. Where the file system cannot be asked for that in one step (NFS) by a
 * second name, or, where it has none, after a look. */
bool file_rename_new(const char *from, const char *to, GError **error);

/** file_remove_tree: rm -rf without following symbolic links; not there is success. Clears the immutable
 * flag. */
bool file_remove_tree(const char *path, GError **error);

/**
 * file_open_beneath: openat2() with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: neither "..", an absolute link
 * nor /proc tricks can leave @dir_fd. @flags as for open(2), O_CLOEXEC is added; files are made with mode
 * 0644. Returns: an owned descriptor, or -1 with @error set (errno is kept)
 */
int file_open_beneath(int dir_fd, const char *relative, int flags, GError **error);

/**
 * file_lock: open (creating 0600) and flock @path exclusively. Closing the descriptor releases it, and so
 * does the death of the process.
 * @wait: whether to wait for another holder; else a held lock is BASE_ERROR_EXISTS
 * Returns: an owned descriptor, or -1 with @error set (errno is kept)
 */
int file_lock(const char *path, bool wait, GError **error);

/** file_is_name: whether @name can be one path component: not empty, not "." or "..", no '/' and no leading
 * '.'. */
bool file_is_name(const char *name);
