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
#define DISK_BLOCK_BYTES (16u << 20)
/* A decoder's dictionary limit: 64 MiB is what xz -9 writes; a header may claim 4 GiB. */
#define DISK_XZ_MAX_MEMORY (80u << 20)
/* liblzma holds 16 bytes per block of an index: this allows four million blocks. */
#define DISK_XZ_MAX_INDEX (64u << 20)
#define DISK_GRAIN 4096u /* holes are found and kept at this grain */

typedef enum { DISK_RAW, DISK_QCOW2 } DiskFormat;
const char *disk_format_name(DiskFormat format);                  /* "raw", "qcow2" */
bool disk_format_parse(const char *name, DiskFormat *out_format); /* false for any other name */

/* What is not published as it is, but can be converted to raw. */
typedef enum {
    DISK_FOREIGN_NONE,
    DISK_FOREIGN_VMDK,
    DISK_FOREIGN_VHDX,
    DISK_FOREIGN_VPC,
    DISK_FOREIGN_VDI
} DiskForeign;
const char *
disk_foreign_name(DiskForeign foreign); /* qemu's name of the format: "vmdk", "vhdx", "vpc", "vdi" */
bool disk_foreign_parse(const char *name, DiskForeign *out_foreign); /* false for any other name */

/**
 * disk_probe_foreign: which convertible format an open image is in, by its magic; DISK_FOREIGN_NONE for any other. Only
 * files that are whole by themselves pass: a VMDK that is or names other files, or has a parent, is an error.
 */
bool disk_probe_foreign(int fd, const char *name, DiskForeign *out_foreign, GError **error);

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

/* How a published file's blocks are packed: the blocks of one .xz stream, or each a zstd frame of its own. Clients that know
 * nothing of us read the first alone; the second takes a sixteenth of the time to unpack. */
typedef enum { DISK_XZ, DISK_ZSTD } DiskCodec;
const char *disk_codec_name(DiskCodec codec); /* "xz", "zstd" */

/**
 * disk_convert: the image @in_fd into the empty file @out_fd as a sparse raw image. qemu-img is told the format, gets the two
 * open files and no name, opens no backing file, and runs under limits; Ctrl-C ends it, and so does our own end.
 * @format: qemu's name of it, as disk_probe() or disk_probe_foreign() found
 */
bool disk_convert(int in_fd, const char *name, const char *format, int out_fd, GError **error);

/* ---- the manifest: what lies where in a published file ---- */

#define DISK_MANIFEST_VERSION 1u
#define DISK_MANIFEST_MAX_BYTES (64u << 20) /* a 4 GiB image's has 25 KB; a fragmented 8 TiB one's fits */
#define DISK_MANIFEST_MAX_BLOCKS (1u << 19) /* 8 TiB in blocks of 16 MiB */
#define DISK_MANIFEST_MAX_BLOCK                                                                              \
    (64u << 20) /* raw bytes of one block, which whoever decodes it holds in memory */
#define DISK_MANIFEST_MAX_RUNS (4u << 20)   /* of the hole map: 32 MiB of memory */
#define DISK_MANIFEST_MAX_INDEX (64u << 20) /* bytes after the last block: some 6 per block */
#define DISK_SHA256_BYTES 32u

typedef struct {
    uint64_t packed_offset, raw_offset; /* not stored: blocks follow one another without a gap */
    uint32_t packed_size;               /* of xz with header, padding and check: a multiple of 4 */
    uint32_t raw_size;
    uint8_t packed_sha256[DISK_SHA256_BYTES];
    uint8_t raw_sha256[DISK_SHA256_BYTES];
} DiskManifestBlock;

typedef struct {
    uint32_t size;
    uint8_t sha256[DISK_SHA256_BYTES];
} DiskManifestPiece;

/**
 * DiskManifest: every byte of one published file, under digests. Of a single-stream .xz file that is head (the stream's
 * header), blocks, and tail (its index and footer); zstd frames have neither. Who trusts the manifest can fetch, check and
 * decode each block alone; head and tail are needed only to have the .xz file itself.
 */
typedef struct {
    uint64_t packed_size; /* of the published file */
    uint64_t raw_size;    /* of what it unpacks to */
    DiskCodec codec;
    uint8_t check;                /* xz: the stream's integrity check as .xz numbers it: 4 is CRC64; else 0 */
    DiskManifestPiece head, tail; /* xz alone; else all zero */
    GArray *blocks;               /* (element-type DiskManifestBlock) */
    GArray
        *runs; /* (element-type uint64_t) where each run of DISK_GRAIN pieces ends: data, zeroes, data ... */
} DiskManifest;
DiskManifest *disk_manifest_new(void); /* of an .xz file */
void disk_manifest_free(DiskManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskManifest, disk_manifest_free)

/**
 * disk_manifest_parse: @data as disk_manifest_print() writes it, and no other: one spelling for one meaning, all sums
 * equal, nothing left over. Unknown optional sections are skipped. Memory is taken only for what fits the limits above
 * and is really there.
 * @name: for messages
 */
DiskManifest *disk_manifest_parse(const void *data, size_t size, const char *name, GError **error);

/** disk_manifest_print: the bytes to publish; manifest.c describes them. Errors: more than the limits allow */
GBytes *disk_manifest_print(const DiskManifest *manifest, GError **error);

/** disk_manifest_add_block: append to an unfinished one; the offsets are set here. */
void disk_manifest_add_block(DiskManifest *manifest, const DiskManifestBlock *block);

/**
 * disk_manifest_add_run: append @n pieces of DISK_GRAIN bytes (the last one of an image may be short). After
 * DISK_MANIFEST_MAX_RUNS everything counts as data, which is never wrong.
 */
void disk_manifest_add_run(DiskManifest *manifest, uint64_t n, bool is_zero);

/**
 * disk_manifest_next_data: the first run of bytes at or after @from and before @end that are not known to be zero, as
 * disk_sparse_next_data() has it for a file.
 */
bool disk_manifest_next_data(const DiskManifest *manifest, uint64_t from, uint64_t end, uint64_t *out_start,
                             uint64_t *out_end);

/** disk_manifest_is_twin: whether both are of files that unpack to the same, block by block. */
bool disk_manifest_is_twin(const DiskManifest *first, const DiskManifest *second);

/* ---- where a raw image goes ---- */

#define DISK_LAYOUT_CLUSTER 65536u
#define DISK_LAYOUT_MAX_SIZE (64ull << 40)                /* an L1 table of 1 MiB */
#define DISK_LAYOUT_MAX_RUNS (DISK_MANIFEST_MAX_RUNS / 2) /* of data: 48 MiB of memory */

/** DiskLayout: where each part of a raw image lies in a qcow2 file of it, known before the first byte is there. */
typedef struct DiskLayout DiskLayout;
/** disk_layout_of_manifest: by the hole map. Errors: larger than DISK_LAYOUT_MAX_SIZE */
DiskLayout *disk_layout_of_manifest(const DiskManifest *manifest, const char *name, GError **error);
/** disk_layout_of_file: by where an open raw image has holes. */
DiskLayout *disk_layout_of_file(int fd, const char *name, GError **error);
void disk_layout_free(DiskLayout *layout);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskLayout, disk_layout_free)
uint64_t disk_layout_file_size(const DiskLayout *layout); /* bytes, holes included */
uint64_t
disk_layout_virtual_size(const DiskLayout *layout); /* the image's, rounded up to sectors as qemu does */

/** DiskTarget: what a raw image is written to, in any order. Everything is borrowed. */
typedef struct {
    int fd; /* open for reading and writing */
    const char *name;
    const DiskLayout *layout; /* (nullable) a qcow2 file; NULL: the raw bytes at their own offsets */
    bool is_device; /* a block device: holes have to be written as zeroes, and its size is what it is */
} DiskTarget;

/**
 * disk_target_prepare: give a file its size.
 * @out_was_empty: there was nothing before, so that all of it is a hole
 */
bool disk_target_prepare(const DiskTarget *target, uint64_t raw_size, bool *out_was_empty, GError **error);

/** disk_target_begin_anew: make all of it a hole, or zero. */
bool disk_target_begin_anew(const DiskTarget *target, uint64_t raw_size, GError **error);

/** disk_target_start_sync: what was written of the image from @at to @end goes to the disk, in the background. */
void disk_target_start_sync(const DiskTarget *target, uint64_t at, uint64_t end);

/**
 * disk_target_fill: the raw image @in_fd, of @raw_size bytes, into the target, whose file must be all holes. Its layout, if
 * there is one, has places for all that the image has.
 */
bool disk_target_fill(const DiskTarget *target, int in_fd, const char *in_name, uint64_t raw_size,
                      Progress *progress, GError **error);

/**
 * disk_target_stream: the raw image @in_fd, from its first byte to its last, to the pipe or file @out_fd; with @layout as a
 * qcow2 file. Ctrl-C ends a write that nobody reads.
 */
bool disk_target_stream(int in_fd, const char *in_name, const DiskLayout *layout, int out_fd,
                        const char *out_name, Progress *progress, GError **error);

/**
 * disk_target_finish: everything is there: onto the disk with it. A qcow2 file gets its tables, and its header after they are
 * safe: one that is not complete has none, and passes for no image.
 */
bool disk_target_finish(const DiskTarget *target, GError **error);

/** disk_target_probe: as disk_probe(), of the raw image in the target. */
bool disk_target_probe(const DiskTarget *target, uint64_t raw_size, const char *name, DiskInfo *out_info,
                       GError **error);

/* ---- one block of an image whose manifest is trusted ---- */

/** DiskBlock: the packed bytes of one block, compared with its digest: only such ones reach a decoder. */
typedef struct DiskBlock DiskBlock;

/**
 * disk_block_verify: (transfer full) (nullable) @packed as block @number of @manifest, which is borrowed; NULL where it is
 * not that block.
 * @packed: (transfer full) as many bytes as the block has packed, by g_malloc(); freed on failure too
 */
DiskBlock *disk_block_verify(const DiskManifest *manifest, guint number, uint8_t *packed);
void disk_block_free(DiskBlock *block);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskBlock, disk_block_free)

/**
 * disk_block_unpack: decode into @target at the block's place. What the hole map says is zero is not written: there the file
 * must have a hole already. What is there after a failure is undefined. Takes the decoder's dictionary and DISK_UNPACK_BYTES
 * of memory.
 * Errors: BASE_ERROR_UNTRUSTED where what comes out is not what the manifest states; more memory than the limit allows
 */
#define DISK_UNPACK_BYTES (256u << 10)
bool disk_block_unpack(const DiskBlock *block, const DiskTarget *target, GError **error);

/** disk_block_is_hole: whether all of block @number is zero, by the hole map. */
bool disk_block_is_hole(const DiskManifest *manifest, guint number);

/**
 * disk_block_compare: whether @target has the raw data of block @number at the block's place, by its digest; of a hole by the
 * hole map, without reading it.
 */
bool disk_block_compare(const DiskManifest *manifest, guint number, const DiskTarget *target,
                        bool *out_is_same, GError **error);

/**
 * disk_block_erase: make a hole of the block's place in @target, so that it can be unpacked there; on a device zeroes, and
 * only where the hole map has them. Errors: the file system cannot
 */
bool disk_block_erase(const DiskManifest *manifest, guint number, const DiskTarget *target, GError **error);

/* ---- packing ---- */

/** DiskPackJob: how to compress. */
typedef struct {
    DiskCodec codec;
    unsigned threads;
    Progress *progress; /* (nullable) */
    /* The image before, whose blocks are copied where the data is the same: its manifest, which must be trusted, and
     * the file, which need not be: each block is compared with its digest first. NULL: there is none. One of another codec
     * counts as none. */
    const DiskManifest *previous;
    int previous_fd;
} DiskPackJob;

typedef struct {
    uint64_t raw_size;        /* bytes in */
    uint64_t compressed_size; /* bytes out */
    char *sha512;             /* lower-case hex over the compressed bytes */
    DiskManifest *manifest;
    uint64_t reused_bytes; /* of the raw size: in blocks that were copied */
} DiskPacked;
void disk_packed_clear(DiskPacked *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DiskPacked, disk_packed_clear)

/**
 * disk_pack: an image in blocks of DISK_BLOCK_BYTES: one .xz stream (CRC64, sizes in every block header), or zstd frames, made
 * on @job->threads cores; holes of @in_fd are not read. Written from the current position of @out_fd on, in order. The
 * same image gives the same bytes, with the image before or without, on one core or many.
 */
bool disk_pack(int in_fd, const char *in_name, int out_fd, const char *out_name, const DiskPackJob *job,
               DiskPacked *out_result, GError **error);

/* ---- whole .xz files ---- */

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

/** DiskXzInput: the bytes of an .xz file, which need not all be there yet. */
typedef struct {
    uint64_t size; /* of the whole file */
    /* Exactly @size bytes at @offset, all of which lie in the file; from any thread; may wait for them. */
    bool (*read)(void *context, void *data, size_t size, uint64_t offset, GError **error);
    void *context;
} DiskXzInput;

/** DiskXzUnpack: what disk_xz_decompress() does, in steps that any thread may take. */
typedef struct DiskXzUnpack DiskXzUnpack;

/**
 * disk_xz_unpack_new: read the index and give the empty file @out_fd its size.
 * @name: for messages, must stay
 * @has_manifest: whether disk_xz_unpack_manifest() will be called; it costs the digests
 */
DiskXzUnpack *disk_xz_unpack_new(const DiskXzInput *input, int out_fd, const char *name, uint64_t max_size,
                                 bool has_manifest, GError **error);
void disk_xz_unpack_free(DiskXzUnpack *unpack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskXzUnpack, disk_xz_unpack_free)

/** disk_xz_unpack_next: decode the first block that nobody has taken yet, if there is one left. */
bool disk_xz_unpack_next(DiskXzUnpack *unpack, bool *out_is_end, GError **error);

/**
 * disk_xz_unpack_manifest: (transfer full) (nullable) once every block is decoded: what lies where; NULL where a manifest cannot
 * say it: several streams, padding, no integrity check, a block larger than DISK_MANIFEST_MAX_BLOCK, too many of them, or an
 * image of more than DISK_XZ_MAX_MAPPED bytes.
 */
#define DISK_XZ_MAX_MAPPED (1ull << 40) /* the map of holes has a bit for DISK_GRAIN bytes: 32 MiB */
bool disk_xz_unpack_manifest(DiskXzUnpack *unpack, DiskManifest **out_manifest, GError **error);

/** disk_is_xz: whether the file starts with the .xz magic. */
bool disk_is_xz(int fd);

/* ---- deltas: an image from another one and what is new in it ---- */

#define DISK_GRAIN_DIGEST_BYTES 16u /* of SHA-256: finds equal pieces; whether they are, the manifest says */
#define DISK_GRAINS_MAX (8u << 20)  /* 32 GiB of data; 192 MiB of memory */
#define DISK_DELTA_PIECE                                                                                     \
    (16u << 20) /* raw bytes of new data that are packed together: 4 MiB would cost 4 % more bytes */
#define DISK_DELTA_MAX_BYTES (1ull << 40)
#define DISK_SHA512_BYTES 64u

typedef struct {
    uint32_t at; /* in units of DISK_GRAIN */
    uint8_t digest[DISK_GRAIN_DIGEST_BYTES];
} DiskGrain;

/** DiskGrains: what is in each piece of DISK_GRAIN bytes of an image that is not all zero: all that is needed of the
 * base to make a delta. */
typedef struct {
    uint64_t size;  /* bytes of the image */
    GArray *grains; /* (element-type DiskGrain) by rising position */
} DiskGrains;
void disk_grains_free(DiskGrains *grains);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskGrains, disk_grains_free)

/** disk_grains_read: of an open image. Errors: more data than DISK_GRAINS_MAX */
DiskGrains *disk_grains_read(int fd, const char *name, GError **error);

/** disk_grains_print: (transfer full) to keep; disk_grains_parse() takes nothing else. */
GBytes *disk_grains_print(const DiskGrains *grains);
DiskGrains *disk_grains_parse(GBytes *bytes, const char *name, GError **error);

typedef enum { DISK_DELTA_ZERO, DISK_DELTA_COPY, DISK_DELTA_NEW } DiskDeltaKind;

typedef struct {
    uint64_t start, n; /* in the image, in units of DISK_GRAIN; runs follow one another without a gap */
    uint64_t from;     /* COPY: where it is in the base; NEW: where among all new data */
    DiskDeltaKind kind;
} DiskDeltaRun;

typedef struct {
    uint64_t offset; /* in the delta's file */
    uint32_t size;
} DiskDeltaPiece;

/** DiskDelta: where each piece of an image comes from. */
typedef struct {
    uint8_t base_sha512[DISK_SHA512_BYTES];  /* of the base's published file, which names it */
    uint8_t image_sha512[DISK_SHA512_BYTES]; /* of the image's */
    uint64_t base_size, raw_size;            /* bytes, unpacked */
    GArray *runs;                            /* (element-type DiskDeltaRun) */
    GArray *pieces;                          /* (element-type DiskDeltaPiece) */
} DiskDelta;
DiskDelta *disk_delta_new(void);
void disk_delta_free(DiskDelta *delta);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskDelta, disk_delta_free)

/**
 * disk_delta_plan: compare an open image with @base. @new_bytes tells what the delta would have to carry before it is
 * packed. Ctrl-C is an error.
 */
DiskDelta *disk_delta_plan(int fd, const char *name, const DiskGrains *base, uint64_t *out_new_bytes,
                           GError **error);

/**
 * disk_delta_write: the delta's file from its plan, from the start of the empty file @out_fd; both digests must be set.
 * The same input gives the same bytes on any number of cores.
 * @fd: the image that was compared, unchanged
 */
bool disk_delta_write(DiskDelta *delta, int fd, const char *name, int out_fd, const char *out_name,
                      unsigned threads, Progress *progress, uint64_t *out_size, char **out_sha512,
                      GError **error);

/**
 * disk_delta_read: the head of a delta's file, whose digest the caller has compared. Nothing in it may reach beyond the
 * base, the image or the file. Errors: UNTRUSTED
 */
DiskDelta *disk_delta_read(int fd, const char *name, GError **error);

/**
 * disk_delta_apply: make the image in the empty file @out_fd: reflinked or copied from @base_fd where the delta says so,
 * which should be the base, of @delta->base_size bytes. Whether the result is right, only the manifest can tell.
 */
bool disk_delta_apply(const DiskDelta *delta, int fd, const char *name, int base_fd, const char *base_name,
                      int out_fd, const char *out_name, unsigned threads, Progress *progress, GError **error);

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
 * disk_copy_range: @size bytes at @from into @out_fd at @to, where it must have a hole: blocks are shared where the file
 * system can, and what is copied by hand leaves out zeroes.
 */
bool disk_copy_range(int in_fd, const char *in_name, uint64_t from, int out_fd, const char *out_name,
                     uint64_t to, uint64_t size, Progress *progress, GError **error);

/**
 * disk_spool: all that comes from the pipe or file @in_fd, from its position on, into the empty file @out_fd; zeroes become
 * holes.
 */
bool disk_spool(int in_fd, const char *in_name, int out_fd, const char *out_name, Progress *progress,
                GError **error);

/**
 * disk_overlay_create: write an empty qcow2 v3 overlay (64 KiB clusters, extended L2) to the new file @path,
 * mode 0600, fsynced; @path must not exist.
 * @backing: stored as given; @backing_format is always stated, so that nothing is ever probed
 * @virtual_size: bytes, a multiple of 512; at least the backing image's
 */
bool disk_overlay_create(const char *path, const char *backing, DiskFormat backing_format,
                         uint64_t virtual_size, GError **error);
