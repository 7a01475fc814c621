// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests that were made on this host of images whose publisher makes none: images/ID.local-manifest beside the image.
 *
 * Nobody signed one. It rests on the image's key, the digest that the signed index states of the whole .xz file: it was computed
 * from bytes that had that digest, and is written only after the comparison. Its own SHA-256 over the id and the content stands in
 * front, so that damage, and a file that got another image's name, are noticed. Whoever can write in the cache could change it as he
 * could change the image: it shows damage, not malice.
 */
#pragma once

#include "fetch/cache.h"

/** local_manifest_write: keep @manifest of the file with the digest @key. */
bool local_manifest_write(const CacheKey *key, const DiskManifest *manifest, GError **error);

/** local_manifest_read: (transfer full) (nullable) what was kept; NULL where there is none or it is damaged. */
DiskManifest *local_manifest_read(const CacheKey *key);
