// SPDX-License-Identifier: Apache-2.0
/* An image file on its way into a repository: read, never changed, and not changed by others meanwhile. */
#pragma once

#include "base/fd.h"
#include "disk/disk.h"

#include <sys/stat.h>

typedef struct {
    const char *path; /* borrowed */
    Fd fd;
    DiskInfo info;
    struct stat before; /* what the file was when it was opened */
} PublishImage;
void publish_image_clear(PublishImage *image);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishImage, publish_image_clear)
#define PUBLISH_IMAGE_NONE ((PublishImage){.fd = -1})

/**
 * publish_image_open: a raw or qcow2 image that stands alone. Refused: other formats, qcow2 with a backing or
 * external data file, and an image that a running qemu writes to.
 */
bool publish_image_open(PublishImage *image, const char *path, GError **error);

/** publish_image_check_unchanged: whether the file is still the one, of the size and time, that was opened.
 */
bool publish_image_check_unchanged(const PublishImage *image, GError **error);
