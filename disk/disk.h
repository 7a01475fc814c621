// SPDX-License-Identifier: Apache-2.0
/*
 * What is inside an image file: which format it is, block-parallel xz, sparse copies and reflinks, qcow2
 * overlays. Nothing here knows of repositories, guests or libvirt.
 */
#pragma once

#include "base/error.h"
#include "base/progress.h"

#include <stdint.h>

/* 16 MiB blocks: smaller ones cost bytes (4 MiB: +7-11 %), larger ones memory and parallelism. */
#define DISK_XZ_BLOCK_BYTES (16u << 20)
/* A decoder's dictionary limit: 64 MiB is what xz -9 writes; a header may claim 4 GiB. */
#define DISK_XZ_MAX_MEMORY (80u << 20)
/* liblzma holds 16 bytes per block of an index: this allows four million blocks. */
#define DISK_XZ_MAX_INDEX (64u << 20)
#define DISK_GRAIN 4096u /* holes are found and kept at this grain */

typedef enum { DISK_RAW, DISK_QCOW2 } DiskFormat;
const char *disk_format_name(DiskFormat format);                  /* "raw", "qcow2" */
bool disk_format_parse(const char *name, DiskFormat *out_format); /* false for any other name */

typedef struct {
    DiskFormat format;
    uint64_t virtual_size; /* bytes */
    char *backing_file;    /* as the header states it, or NULL */
    char *backing_format;  /* "raw", "qcow2", ... or NULL */
    bool has_data_file;    /* qcow2 with an external data file: refused wherever the image is not our own */
} DiskInfo;
void disk_info_clear(DiskInfo *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DiskInfo, disk_info_clear)

/**
 * disk_probe: read the header of an open image. qcow2 by its magic (versions 2 and 3), else raw; other known
 * magics (xz, gzip, zstd, VMDK, VHDX, VDI) are an error that names the format, never taken for raw.
 */
bool disk_probe(int fd, const char *name, DiskInfo *out_info, GError **error);

typedef struct {
    uint64_t raw_size;        /* bytes in */
    uint64_t compressed_size; /* bytes out */
    char *sha512;             /* lower-case hex over the compressed bytes */
} DiskXzResult;
void disk_xz_result_clear(DiskXzResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DiskXzResult, disk_xz_result_clear)

/**
 * disk_xz_compress: one .xz stream of DISK_XZ_BLOCK_BYTES blocks (CRC64, sizes in every block header), made
 * on
 * @threads cores; holes of @in_fd are not read. Written from the current position of @out_fd on, in order.
 */
bool disk_xz_compress(int in_fd, const char *in_name, int out_fd, const char *out_name, unsigned threads,
                      Progress *progress, DiskXzResult *out_result, GError **error);

/**
 * disk_xz_raw_size: the uncompressed size that the file's own index states (all streams and paddings).
 * Errors: not an .xz file, truncated, corrupt
 */
bool disk_xz_raw_size(int fd, const char *name, uint64_t *out_size, GError **error);

/**
 * disk_xz_decompress: decode every block by the file's index, on @threads cores, into @out_fd, which must be
 * an empty regular file: zeroes become holes. Any .xz is accepted: several streams, padding, one block.
 * @max_size: refuse, before a byte is decoded, a file whose index says more than this
 */
bool disk_xz_decompress(int in_fd, const char *in_name, int out_fd, const char *out_name, uint64_t max_size,
                        unsigned threads, Progress *progress, GError **error);

/** disk_is_xz: whether the file starts with the .xz magic. */
bool disk_is_xz(int fd);

typedef enum { DISK_COPY_REFLINK, DISK_COPY_SPARSE } DiskCopyKind;

/** disk_can_reflink: whether a file in folder @from can be cloned into folder @to (tried, not guessed). */
bool disk_can_reflink(const char *from_dir, const char *to_dir);

/**
 * disk_copy: the content of @in_fd into the empty file @out_fd: FICLONE where the file system can, else data
 * extents only (SEEK_DATA, copy_file_range), so holes stay holes.
 */
bool disk_copy(int in_fd, const char *in_name, int out_fd, const char *out_name, Progress *progress,
               DiskCopyKind *out_kind, GError **error);

/**
 * disk_overlay_create: write an empty qcow2 v3 overlay (64 KiB clusters, extended L2) to the new file @path,
 * mode 0600, fsynced; @path must not exist.
 * @backing: stored as given; @backing_format is always stated, so that nothing is ever probed
 * @virtual_size: bytes, a multiple of 512; at least the backing image's
 */
bool disk_overlay_create(const char *path, const char *backing, DiskFormat backing_format,
                         uint64_t virtual_size, GError **error);
