// SPDX-License-Identifier: Apache-2.0
/* The shell commands by which each package manager installs, removes and updates without asking anything. Pure. */
#pragma once

#include "base/error.h"

typedef enum { PACKAGES_INSTALL, PACKAGES_UNINSTALL, PACKAGES_UPDATE } PackagesAction;

/**
 * packages_manager: what a distribution installs packages with: "apt", "dnf", "yum", "zypper", "apk", "pacman", "xbps",
 * "urpmi" or "pisi"; NULL where that is not known.
 * @id, @like: (nullable) ID and ID_LIKE of os-release(5); @major: of VERSION_ID
 */
const char *packages_manager(const char *id, const char *like, int major);

/**
 * packages_check: whether all @names can be package names, as package managers take them: with a version, an architecture, a
 * release, a group's '@', a file's path, or '*'. What could be an option or means anything to a shell is BASE_ERROR_USAGE.
 */
bool packages_check(char *const *names, GError **error);

/**
 * packages_script: (transfer full) a /bin/sh script that does it, and ends with a status other than 0 where it failed.
 * @names: passed packages_check(); not used for PACKAGES_UPDATE
 * @is_booted: for the running guest; else for a chroot, in which no service may start
 * Returns: NULL with @error set where @manager is NULL or not known
 */
char *packages_script(const char *manager, PackagesAction action, char *const *names, bool is_booted,
                      GError **error);
