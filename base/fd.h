// SPDX-License-Identifier: Apache-2.0
/* File descriptors: scoped ownership, and reads and writes that are never short. */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** Fd: an owned descriptor, closed at scope end when declared `g_auto(Fd) fd = -1;`. */
typedef int Fd;
void fd_close(Fd fd);
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(Fd, fd_close, -1)

/** fd_steal: hand the descriptor over; *@fd becomes -1. */
int fd_steal(Fd *fd);

/** fd_write_all: write @size bytes at the file position. @name is for messages. Handles EINTR and short
 * writes. */
bool fd_write_all(int fd, const void *data, size_t size, const char *name, GError **error);

/** fd_pwrite_all: the same at @offset bytes from the start. */
bool fd_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, const char *name, GError **error);

/**
 * fd_pread: read up to @size bytes at @offset; fewer only at the end of the file.
 * Returns: the number of bytes, or -1 with @error set
 */
ssize_t fd_pread(int fd, void *data, size_t size, uint64_t offset, const char *name, GError **error);

/** fd_pread_exact: read exactly @size bytes or fail ("<name>: ends after N bytes, M expected"). */
bool fd_pread_exact(int fd, void *data, size_t size, uint64_t offset, const char *name, GError **error);

/** fd_size: the size of a regular file or block device in bytes. */
bool fd_size(int fd, const char *name, uint64_t *out_size, GError **error);
