// SPDX-License-Identifier: Apache-2.0
/*
 * The sources of virt-builder's own configuration, read-only: what a host that has used virt-builder knows already.
 * With VIRT_DEPOT_HOME set only the folders that VIRT_BUILDER_DIRS names are looked into, so that trials and tests see
 * nothing of the host's; VIRT_DEPOT_REPOS_D=no looks into none.
 */
#pragma once

#include "fetch/source.h"

/**
 * reposd_folders: (transfer full) where virt-builder looks, in its order: $XDG_CONFIG_HOME/virt-builder/repos.d, then
 * virt-builder/repos.d below each folder of VIRT_BUILDER_DIRS (default: /etc).
 * Source: virt-builder, paths.ml and sources.ml
 */
char **reposd_folders(void);

/**
 * reposd_read: (element-type Source) (transfer full) the sources there. A file's name hides files of that name in later
 * folders; of two sources with one id the first counts. All keys of a source's key file are its pins. What has no key,
 * or one that would have to be downloaded, is left out with a warning: never taken for unsigned in silence.
 * @only: (nullable) the one with that name
 */
GPtrArray *reposd_read(const char *only, GPtrArray *warnings);
