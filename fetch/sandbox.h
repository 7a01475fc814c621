// SPDX-License-Identifier: Apache-2.0
/*
 * Giving up what a process does not need, for ever: for the one that decodes bytes which nobody has vouched for yet. What it has
 * open stays usable, and it can compute; it cannot open, connect, start or signal anything.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

typedef struct {
    uint64_t memory_bytes; /* of address space */
    uint64_t cpu_seconds;  /* of all threads */
    uint64_t file_bytes;   /* how large a file may become */
    unsigned n_files;      /* open ones have lower numbers than this, and stay open */
} SandboxLimits;

/**
 * sandbox_prepare: resource limits, no core dumps, no new privileges, and, where the kernel has Landlock, no file system and no
 * network. To be called by the only thread, since Landlock confines a thread and those that it makes.
 */
bool sandbox_prepare(const SandboxLimits *limits, GError **error);

/**
 * sandbox_enter: from now on only the system calls that decoding takes, for all threads: opening a file fails with EPERM (some
 * library may try), everything else kills the process. No thread can be made afterwards.
 * Errors: a kernel without seccomp filters
 */
bool sandbox_enter(GError **error);
