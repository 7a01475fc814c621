// SPDX-License-Identifier: Apache-2.0
/* An image file on its way into a repository: read, never changed, and not changed by others meanwhile. */
#pragma once

#include "base/fd.h"
#include "disk/disk.h"
#include "store/store.h"

#include <sys/stat.h>

typedef struct {
    bool is_stdin;
    const char *path; /* as given, for messages; borrowed */
    Fd fd;            /* what is published */
    const char *disk; /* where that lies: @path, or the spooled or converted copy; borrowed */
    DiskInfo info;
    struct stat before; /* what the given file was when it was opened */
    Fd original;        /* the given file where @fd is a copy of it */
    StoreUpload copy;   /* beside the repository's blobs; gone with the image, or swept after a kill -9 */
} PublishImage;
void publish_image_clear(PublishImage *image);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishImage, publish_image_clear)
#define PUBLISH_IMAGE_NONE ((PublishImage){.fd = -1, .original = -1, .copy = STORE_UPLOAD_NONE})

/** PublishInput: the format that the command line states; none where the file's first bytes decide. */
typedef struct {
    bool is_stated;
    DiskFormat format; /* where @foreign is none */
    DiskForeign foreign;
} PublishInput;

/** publish_input_parse: "raw", "qcow2", "vmdk", "vhdx", "vpc", "vdi"; else USAGE. */
bool publish_input_parse(const char *text, PublishInput *out_input, GError **error);

/**
 * publish_image_open: an image that stands alone. VMDK, VHDX, VPC and VDI are converted to raw first, and standard input
 * ("-") is copied to a file, both in the store and sparse. Refused: other formats, a format that is not the stated one (a
 * raw image that starts like a qcow2 is an attack on whoever probes it), backing and external data files, and an image that
 * a running qemu writes to.
 * @input: what was stated. VPC images of fixed size have to be: nothing tells them from raw ones
 */
bool publish_image_open(PublishImage *image, const char *path, const PublishInput *input, Store *store,
                        GError **error);

/** publish_image_check_unchanged: whether the given file is still the one, of the size and time, that was opened. */
bool publish_image_check_unchanged(const PublishImage *image, GError **error);
