// SPDX-License-Identifier: Apache-2.0
/* An image's published file in one codec, from the revision before to the blobs. */
#pragma once

#include "disk/disk.h"
#include "publish/entry.h"
#include "publish/image.h"
#include "store/store.h"

typedef struct {
    DiskManifest *previous; /* (nullable) of the revision before */
    Fd previous_fd;
    StoreUpload upload;
    DiskPacked result;
} PublishPacking;
#define PUBLISH_PACKING_NONE ((PublishPacking){.previous_fd = -1, .upload = STORE_UPLOAD_NONE})
void publish_packing_clear(PublishPacking *packing);

/** publish_packing_drop_previous: close what only packing needs: a run may have hundreds of images. */
void publish_packing_drop_previous(PublishPacking *packing);

/**
 * publish_packing_find: what can be reused of the blob @file of the revision before, whose manifest is the blob @manifest;
 * both names come from the signed index. Nothing where either is NULL.
 */
bool publish_packing_find(PublishPacking *packing, Store *store, const char *file, const char *manifest,
                          GError **error);

/** publish_packing_run: pack @image, which is called @name, beside the blobs. */
bool publish_packing_run(PublishPacking *packing, Store *store, const PublishImage *image, const char *name,
                         DiskCodec codec, unsigned threads, GError **error);

/** publish_packing_store: file and manifest become blobs. */
bool publish_packing_store(PublishPacking *packing, Store *store, PublishBlob *out_file,
                           PublishBlob *out_manifest, GError **error);

/** publish_store_bytes: make @data a blob. Returns: (transfer full) its path in the repository */
char *publish_store_bytes(Store *store, const void *data, size_t size, GError **error);
