// SPDX-License-Identifier: Apache-2.0
/*
 * The manifest's bytes. Pure.
 *
 * Binary rather than text: two thirds of it are digests, it is read on every pull, and there is one spelling for one
 * meaning, so that a strict parser is short. Sizes are stored and offsets are not: what follows from the order cannot
 * contradict it. All numbers are little-endian.
 *
 *   0  8  magic: 0x89 "vdm" CR LF 0x1a LF (not text, and every usual damage in transfer changes it)
 *   8  2  version, 1
 *  10  1  digest of blocks and pieces: 1 is SHA-256
 *  11  1  compression: 1 is one .xz stream, 2 is zstd frames
 *  12  1  integrity check of that stream, as .xz numbers it (1 CRC32, 4 CRC64, 10 SHA-256; 0 is refused); 0 for zstd
 *  13  3  zero
 *  16  4  grain of the hole map, 4096
 *  20  4  zero
 *  24  8  size of the published file
 *  32  8  raw size
 *  40 36  head: size and digest of what lies before the first block (the stream header, 12 bytes)
 *  76 36  tail: the same for what follows the last block (the index and the footer); both are all zero for zstd
 * 112     sections, in rising order of their ids, each: id (4), zero (4), bytes (8), content
 *
 * Section 1, blocks: for each block packed size (4), raw size (4), digest of the packed bytes (32), of the raw ones (32).
 * Section 2, hole map: lengths of runs in grains as LEB128 in the shortest form, data and zeroes in turn, data first; only
 *   the first may be 0. A last grain that the image cuts short counts as one.
 * Other sections with an id below 0x80000000 are optional and skipped: a boot profile may come. The rest must be understood.
 */
#include "disk/disk.h"

#include <string.h>

#define HEADER_BYTES 112u
#define SECTION_BYTES 16u
#define BLOCK_BYTES 72u
#define SECTION_BLOCKS 1u
#define SECTION_RUNS 2u
#define SECTION_MUST_KNOW 0x80000000u
#define ALGORITHM_SHA256 1u
#define ALGORITHM_XZ 1u /* and ALGORITHM_XZ + codec */
#define XZ_HEAD_BYTES 12u
#define XZ_MIN_TAIL_BYTES 20u /* an empty index, 8 bytes, and the footer */
#define XZ_MAX_CHECK 15u
#define MAX_VARINT_BYTES 10u

static const uint8_t MAGIC[8] = {0x89, 'v', 'd', 'm', '\r', '\n', 0x1a, '\n'};

const char *
disk_codec_name(DiskCodec codec)
{
    return codec == DISK_XZ ? "xz" : "zstd";
}

DiskManifest *
disk_manifest_new(void)
{
    DiskManifest *manifest = g_new0(DiskManifest, 1);

    manifest->blocks = g_array_new(FALSE, FALSE, sizeof(DiskManifestBlock));
    manifest->runs = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    return manifest;
}

void
disk_manifest_free(DiskManifest *manifest)
{
    if (manifest == NULL)
        return;
    g_array_unref(manifest->blocks);
    g_array_unref(manifest->runs);
    g_free(manifest);
}

/* ---- building ---- */

void
disk_manifest_add_block(DiskManifest *manifest, const DiskManifestBlock *block)
{
    DiskManifestBlock added = *block;
    guint n = manifest->blocks->len;

    added.packed_offset = manifest->head.size;
    added.raw_offset = 0;
    if (n > 0) {
        const DiskManifestBlock *last = &g_array_index(manifest->blocks, DiskManifestBlock, n - 1);

        added.packed_offset = last->packed_offset + last->packed_size;
        added.raw_offset = last->raw_offset + last->raw_size;
    }
    g_array_append_val(manifest->blocks, added);
}

static uint64_t
run_end(const DiskManifest *manifest, guint i)
{
    return g_array_index(manifest->runs, uint64_t, i);
}

void
disk_manifest_add_run(DiskManifest *manifest, uint64_t n, bool is_zero)
{
    guint count = manifest->runs->len;
    uint64_t end = n + (count > 0 ? run_end(manifest, count - 1) : 0);
    bool is_last_zero = count % 2 == 0; /* with no run yet, as if zeroes had come before */

    if (n == 0)
        return;
    /* The last run there is room for is one of data, which takes up everything. */
    if (count > 0 && (is_zero == is_last_zero || count == DISK_MANIFEST_MAX_RUNS - 1)) {
        g_array_index(manifest->runs, uint64_t, count - 1) = end;
        return;
    }
    if (count == 0 && is_zero) {
        const uint64_t none = 0;

        g_array_append_val(manifest->runs, none);
    }
    g_array_append_val(manifest->runs, end);
}

/* ---- printing ---- */

static void
put(GByteArray *out, uint64_t value, unsigned bytes)
{
    uint8_t little[8];

    for (unsigned i = 0; i < bytes; i++)
        little[i] = (uint8_t)(value >> (8 * i));
    g_byte_array_append(out, little, bytes);
}

static void
put_piece(GByteArray *out, const DiskManifestPiece *piece)
{
    put(out, piece->size, 4);
    g_byte_array_append(out, piece->sha256, DISK_SHA256_BYTES);
}

static void
put_section(GByteArray *out, uint32_t id, const GByteArray *content)
{
    put(out, id, 4);
    put(out, 0, 4);
    put(out, content->len, 8);
    g_byte_array_append(out, content->data, content->len);
}

static GByteArray *
print_blocks(const DiskManifest *manifest)
{
    GByteArray *out = g_byte_array_new();

    for (guint i = 0; i < manifest->blocks->len; i++) {
        const DiskManifestBlock *block = &g_array_index(manifest->blocks, DiskManifestBlock, i);

        put(out, block->packed_size, 4);
        put(out, block->raw_size, 4);
        g_byte_array_append(out, block->packed_sha256, DISK_SHA256_BYTES);
        g_byte_array_append(out, block->raw_sha256, DISK_SHA256_BYTES);
    }
    return out;
}

static GByteArray *
print_runs(const DiskManifest *manifest)
{
    GByteArray *out = g_byte_array_new();

    for (guint i = 0; i < manifest->runs->len; i++) {
        uint64_t length = run_end(manifest, i) - (i > 0 ? run_end(manifest, i - 1) : 0);

        for (; length >= 0x80; length >>= 7)
            put(out, (length & 0x7f) | 0x80, 1);
        put(out, length, 1);
    }
    return out;
}

GBytes *
disk_manifest_print(const DiskManifest *manifest, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GByteArray) blocks = NULL;
    g_autoptr(GByteArray) runs = NULL;

    if (manifest->blocks->len > DISK_MANIFEST_MAX_BLOCKS) {
        error_set(error, "the image has %u blocks, and a manifest holds %u", manifest->blocks->len,
                  DISK_MANIFEST_MAX_BLOCKS);
        return NULL;
    }
    blocks = print_blocks(manifest);
    runs = print_runs(manifest);
    g_byte_array_append(out, MAGIC, sizeof MAGIC);
    put(out, DISK_MANIFEST_VERSION, 2);
    put(out, ALGORITHM_SHA256, 1);
    put(out, ALGORITHM_XZ + (uint64_t)manifest->codec, 1);
    put(out, manifest->check, 4); /* and three zeroes */
    put(out, DISK_GRAIN, 8);      /* and four */
    put(out, manifest->packed_size, 8);
    put(out, manifest->raw_size, 8);
    put_piece(out, &manifest->head);
    put_piece(out, &manifest->tail);
    put_section(out, SECTION_BLOCKS, blocks);
    put_section(out, SECTION_RUNS, runs);
    if (out->len > DISK_MANIFEST_MAX_BYTES) {
        error_set(error, "the image's manifest would have %u bytes, at most %u are allowed", out->len,
                  DISK_MANIFEST_MAX_BYTES);
        return NULL;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

/* ---- parsing ---- */

typedef struct {
    const uint8_t *at;
    size_t left;
    const char *name;
} Reader;

static bool
damaged(GError **error, const Reader *reader, const char *what)
{
    return error_set(error, "%s: damaged manifest: %s", reader->name, what);
}

/* The caller has checked that @bytes are left. */
static uint64_t
take(Reader *reader, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += bytes;
    reader->left -= bytes;
    return value;
}

static void
take_digest(Reader *reader, uint8_t *out)
{
    memcpy(out, reader->at, DISK_SHA256_BYTES);
    reader->at += DISK_SHA256_BYTES;
    reader->left -= DISK_SHA256_BYTES;
}

static void
take_piece(Reader *reader, DiskManifestPiece *piece)
{
    piece->size = (uint32_t)take(reader, 4);
    take_digest(reader, piece->sha256);
}

static bool
check_stream(const Reader *reader, const DiskManifest *manifest, GError **error)
{
    /* Without a check a decoder would not notice its own errors. */
    if (manifest->check == 0)
        return damaged(error, reader, "impossible integrity check");
    if (manifest->head.size != XZ_HEAD_BYTES)
        return damaged(error, reader, "impossible size of the stream's header");
    if (manifest->tail.size < XZ_MIN_TAIL_BYTES || manifest->tail.size > DISK_MANIFEST_MAX_INDEX ||
        manifest->tail.size % 4 != 0)
        return damaged(error, reader, "impossible size of the stream's index");
    return true;
}

/* Frames follow one another; the digests of the raw data are all the check there is. */
static bool
check_frames(const Reader *reader, const DiskManifest *manifest, GError **error)
{
    static const DiskManifestPiece NONE;

    return (manifest->check == 0 && memcmp(&manifest->head, &NONE, sizeof NONE) == 0 &&
            memcmp(&manifest->tail, &NONE, sizeof NONE) == 0) ||
           damaged(error, reader, "zstd frames with a stream's header, index or check");
}

static bool
parse_header(Reader *reader, DiskManifest *manifest, GError **error)
{
    uint64_t version, digest, compression, check, grain;

    if (reader->left < HEADER_BYTES || memcmp(reader->at, MAGIC, sizeof MAGIC) != 0)
        return error_set(error, "%s: not a manifest", reader->name);
    take(reader, sizeof MAGIC);
    version = take(reader, 2);
    if (version != DISK_MANIFEST_VERSION)
        return error_set(error, "%s: manifest version %u is not known here; a newer virt-depot wrote it",
                         reader->name, (unsigned)version);
    digest = take(reader, 1);
    compression = take(reader, 1);
    check = take(reader, 4);
    grain = take(reader, 8);
    if (digest != ALGORITHM_SHA256 ||
        (compression != ALGORITHM_XZ && compression != ALGORITHM_XZ + DISK_ZSTD) || grain != DISK_GRAIN)
        return error_set(error, "%s: the manifest uses a digest, compression or grain that is not known here",
                         reader->name);
    manifest->codec = (DiskCodec)(compression - ALGORITHM_XZ);
    manifest->packed_size = take(reader, 8);
    manifest->raw_size = take(reader, 8);
    take_piece(reader, &manifest->head);
    take_piece(reader, &manifest->tail);
    if (check > XZ_MAX_CHECK)
        return damaged(error, reader, "impossible integrity check");
    manifest->check = (uint8_t)check;
    return manifest->codec == DISK_XZ ? check_stream(reader, manifest, error)
                                      : check_frames(reader, manifest, error);
}

static bool
parse_blocks(Reader *reader, DiskManifest *manifest, GError **error)
{
    uint64_t packed = (uint64_t)manifest->head.size + manifest->tail.size, raw = 0;
    size_t n = reader->left / BLOCK_BYTES;

    if (reader->left % BLOCK_BYTES != 0)
        return damaged(error, reader, "a part of a block");
    if (n > DISK_MANIFEST_MAX_BLOCKS)
        return damaged(error, reader, "more blocks than the limit allows");
    for (size_t i = 0; i < n; i++) {
        DiskManifestBlock block;

        block.packed_size = (uint32_t)take(reader, 4);
        block.raw_size = (uint32_t)take(reader, 4);
        take_digest(reader, block.packed_sha256);
        take_digest(reader, block.raw_sha256);
        if (block.raw_size == 0 || block.raw_size > DISK_MANIFEST_MAX_BLOCK)
            return damaged(error, reader, "impossible size of a block");
        /* Stored data grows by 3 bytes in 64 KiB, and a block header has at most 1 KiB. */
        if (block.packed_size == 0 || (manifest->codec == DISK_XZ && block.packed_size % 4 != 0) ||
            block.packed_size > block.raw_size + block.raw_size / 1024 + 4096)
            return damaged(error, reader, "impossible packed size of a block");
        packed += block.packed_size;
        raw += block.raw_size;
        disk_manifest_add_block(manifest, &block);
    }
    if (packed != manifest->packed_size || raw != manifest->raw_size)
        return damaged(error, reader, "the blocks do not add up to the file");
    return true;
}

static bool
take_varint(Reader *reader, uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < MAX_VARINT_BYTES - 1 && reader->left > 0; i++) { /* 63 bits */
        uint64_t byte = take(reader, 1);

        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out_value = value;
            return byte != 0 || i == 0; /* else there is a shorter form */
        }
    }
    return false;
}

static bool
parse_runs(Reader *reader, DiskManifest *manifest, GError **error)
{
    uint64_t grains = manifest->raw_size / DISK_GRAIN + (manifest->raw_size % DISK_GRAIN != 0);
    uint64_t end = 0, length;

    while (reader->left > 0) {
        bool is_first = manifest->runs->len == 0;

        if (manifest->runs->len == DISK_MANIFEST_MAX_RUNS)
            return damaged(error, reader, "more runs in the hole map than the limit allows");
        if (!take_varint(reader, &length) || (length == 0 && !(is_first && reader->left > 0)))
            return damaged(error, reader, "impossible length in the hole map");
        if (length > grains - end)
            return damaged(error, reader, "the hole map is longer than the image");
        end += length;
        g_array_append_val(manifest->runs, end);
    }
    return end == grains || damaged(error, reader, "the hole map is shorter than the image");
}

static bool
parse_section(uint32_t id, Reader *content, DiskManifest *manifest, GError **error)
{
    if (id == SECTION_BLOCKS)
        return parse_blocks(content, manifest, error);
    if (id == SECTION_RUNS)
        return parse_runs(content, manifest, error);
    if (id >= SECTION_MUST_KNOW)
        return error_set(error,
                         "%s: the manifest has a section that is not known here; a newer virt-depot wrote it",
                         content->name);
    return true;
}

DiskManifest *
disk_manifest_parse(const void *data, size_t size, const char *name, GError **error)
{
    g_autoptr(DiskManifest) manifest = disk_manifest_new();
    Reader reader = {data, size, name};
    bool has_runs = false, has_blocks = false;
    uint32_t last_id = 0;

    if (size > DISK_MANIFEST_MAX_BYTES) {
        damaged(error, &reader, "larger than the limit allows");
        return NULL;
    }
    if (!parse_header(&reader, manifest, error))
        return NULL;
    while (reader.left > 0) {
        bool has_header = reader.left >= SECTION_BYTES;
        uint32_t id = has_header ? (uint32_t)take(&reader, 4) : 0;
        uint64_t reserved = has_header ? take(&reader, 4) : 0;
        uint64_t length = has_header ? take(&reader, 8) : 0;
        Reader content = {reader.at, (size_t)length, name};

        if (!has_header || reserved != 0 || length > reader.left || id <= last_id) {
            damaged(error, &reader, "a section is cut short, out of order or twice there");
            return NULL;
        }
        if (!parse_section(id, &content, manifest, error))
            return NULL;
        has_blocks = has_blocks || id == SECTION_BLOCKS;
        has_runs = has_runs || id == SECTION_RUNS;
        last_id = id;
        reader.at += length;
        reader.left -= (size_t)length;
    }
    if (!has_blocks || !has_runs) {
        damaged(error, &reader, "no blocks or no hole map");
        return NULL;
    }
    return g_steal_pointer(&manifest);
}

/* ---- asking ---- */

/* The number of the run that holds grain @at; the map's length where it is past the end. */
static guint
find_run(const DiskManifest *manifest, uint64_t at)
{
    guint low = 0, high = manifest->runs->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (run_end(manifest, middle) > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool
disk_manifest_next_data(const DiskManifest *manifest, uint64_t from, uint64_t end, uint64_t *out_start,
                        uint64_t *out_end)
{
    guint run = find_run(manifest, from / DISK_GRAIN);

    end = MIN(end, manifest->raw_size);
    if (run < manifest->runs->len && run % 2 == 1) { /* zeroes: data starts where they end */
        from = run_end(manifest, run) * DISK_GRAIN;
        run++;
    }
    if (run >= manifest->runs->len || from >= end)
        return false;
    *out_start = from;
    *out_end = MIN(end, run_end(manifest, run) * DISK_GRAIN);
    return true;
}

bool
disk_manifest_is_twin(const DiskManifest *first, const DiskManifest *second)
{
    bool is_twin = first->raw_size == second->raw_size && first->blocks->len == second->blocks->len &&
                   first->runs->len == second->runs->len;

    for (guint i = 0; is_twin && i < first->blocks->len; i++) {
        const DiskManifestBlock *a = &g_array_index(first->blocks, DiskManifestBlock, i);
        const DiskManifestBlock *b = &g_array_index(second->blocks, DiskManifestBlock, i);

        is_twin = a->raw_size == b->raw_size && memcmp(a->raw_sha256, b->raw_sha256, DISK_SHA256_BYTES) == 0;
    }
    for (guint i = 0; is_twin && i < first->runs->len; i++)
        is_twin = run_end(first, i) == run_end(second, i);
    return is_twin;
}
