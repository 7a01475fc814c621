// SPDX-License-Identifier: Apache-2.0
/* Which SELinux label a new file gets by its path: the few rules of the targeted policy that edits meet. Pure. */
#pragma once

/**
 * label_of_path: (transfer full) "system_u:object_r:etc_t:s0" for the absolute @path, by the longest rule that fits; NULL where
 * no rule does: such a file needs the guest's own relabelling.
 * Source: file_contexts of selinux-policy-targeted 38
 */
char *label_of_path(const char *path);
