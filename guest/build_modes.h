// SPDX-License-Identifier: Apache-2.0
/* What virt-builder's command line does instead of building: each prints its result on standard output. */
#pragma once

#include "guest/build_list.h"
#include "guest/kernel.h"

/** build_mode_list: what the sources offer, or the image @ref (nullable) alone. */
bool build_mode_list(const FetchSources *sources, const char *ref, const char *arch, BuildListFormat format,
                     GError **error);

bool build_mode_notes(const FetchSources *sources, const char *ref, const char *arch, GError **error);

/** build_mode_print_cache: @has_cache: false says that there is none. */
bool build_mode_print_cache(const FetchSources *sources, bool has_cache, GError **error);

/** build_mode_cache_all: every image of every architecture. What fails is a warning each, and the first one the error. */
bool build_mode_cache_all(const FetchSources *sources, GError **error);

/** build_mode_delete_cache: only what is ours, and no image that a VM needs. */
bool build_mode_delete_cache(GError **error);

/** build_mode_kernel: @format: (nullable) of the disk; NULL, "auto": as its header says */
bool build_mode_kernel(KernelRequest *request, const char *format, const GuestRun *run, GError **error);

/** build_mode_disk_format: of the disk file @path, by its header; @format (nullable, "auto"): what it has to be */
bool build_mode_disk_format(const char *path, const char *format, DiskFormat *out_format, GError **error);

/**
 * build_mode_features: what this virt-builder can do, for scripts.
 * @where: (nullable) "fd:N", "file:PATH", "stream:stdout", "stream:stderr"; NULL: standard output
 */
bool build_mode_features(const char *where, GError **error);

/** build_mode_warn: show @warnings on standard error. */
void build_mode_warn(const GPtrArray *warnings);
