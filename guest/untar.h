// SPDX-License-Identifier: Apache-2.0
/* Unpacks what a guest sent into a folder of this host. Nothing in the archive is believed. */
#pragma once

#include "base/error.h"

/** UntarCounts: what was made, and what was left out: devices, FIFOs and sockets. */
typedef struct {
    unsigned n_entries, n_special;
} UntarCounts;

/**
 * untar_beneath: the tar stream @fd into the folder @base, a single name, of the folder @dir_fd. Nothing outside of it is made,
 * changed or followed to. Files belong to the caller; setuid, setgid and sticky bits are dropped, and the umask counts.
 * Works in the caller's thread, whose current folder is another one afterwards: for a thread of its own.
 * @label: for messages
 * Errors: ".." in a name; a name that leads through a symbolic link; what cannot be written; a damaged stream
 */
bool untar_beneath(int fd, int dir_fd, const char *base, const char *label, UntarCounts *out_counts,
                   GError **error);
