// SPDX-License-Identifier: Apache-2.0
/*
 * Where things live. For root: /etc/virt-depot, /var/lib/virt-depot, and for images a folder of libvirt's
 * default pool that qemu can traverse: /var/lib/libvirt/images. For others the XDG folders.
 * VIRT_DEPOT_HOME=DIR puts all of it below DIR instead (tests, trials, several set-ups on one machine); VIRT_DEPOT_CACHE=DIR is
 * the cache wherever the rest is, and VIRT_DEPOT_SHARED_CACHE=DIR the shared one; empty: there is none.
 */
#pragma once

/* Each returns (transfer full) an absolute path that may not exist yet. */
char *path_config(void); /* sources.d/ */
char *path_state(void);  /* journal/, remembered facts about this host, what was seen of each repository */
char *path_keys(void);   /* one GnuPG home per signing key, 0700 */
char *path_cache(void);  /* indexes, partial downloads, verified images that VMs use as their base */
/* path_shared_cache: (nullable) the cache of this host, root's, in which others may look for images, too. */
char *path_shared_cache(void);
char *path_disks(void); /* the disks of new VMs */
