// SPDX-License-Identifier: Apache-2.0
/* What an .xz file says of itself: its magic and its index, which states where each block lies. */
#include "base/fd.h"
#include "disk/xz.h"

#include <string.h>

#define IN_BUFFER_BYTES (64u << 10)

static const uint8_t XZ_MAGIC[6] = {0xfd, '7', 'z', 'X', 'Z', 0};

bool
disk_xz_fail(GError **error, const char *name, lzma_ret ret)
{
    switch (ret) {
    case LZMA_FORMAT_ERROR:
        return error_set(error, "%s: not an .xz file", name);
    case LZMA_MEMLIMIT_ERROR:
        return error_set(error, "%s: wants more memory than the limit allows", name);
    case LZMA_OPTIONS_ERROR:
    case LZMA_UNSUPPORTED_CHECK:
        return error_set(error, "%s: uses .xz features that are not supported", name);
    case LZMA_MEM_ERROR:
        return error_set(error, "%s: out of memory", name);
    default:
        return error_set(error, "%s: the .xz data is damaged or truncated", name);
    }
}

bool
disk_is_xz(int fd)
{
    uint8_t start[sizeof XZ_MAGIC];

    return fd_pread(fd, start, sizeof start, 0, "", NULL) == (ssize_t)sizeof start &&
           memcmp(start, XZ_MAGIC, sizeof start) == 0;
}

bool
disk_xz_input_file(DiskXzInput *input, const DiskXzFile *file, GError **error)
{
    *input = (DiskXzInput){.read = disk_xz_read_file, .context = (void *)file};
    return fd_size(file->fd, file->name, &input->size, error);
}

bool
disk_xz_read_file(void *context, void *data, size_t size, uint64_t offset, GError **error)
{
    const DiskXzFile *file = context;

    return fd_pread_exact(file->fd, data, size, offset, file->name, error);
}

/* The next bytes for the decoder, or none at the end of the file. */
static bool
feed(const DiskXzInput *input, lzma_stream *stream, uint8_t *buffer, uint64_t *at, GError **error)
{
    size_t n = *at < input->size ? MIN(input->size - *at, IN_BUFFER_BYTES) : 0;

    if (n > 0 && !input->read(input->context, buffer, n, *at, error))
        return false;
    stream->next_in = buffer;
    stream->avail_in = n;
    *at += n;
    return true;
}

lzma_index *
disk_xz_read_index(const DiskXzInput *input, const char *name, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(IN_BUFFER_BYTES);
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_index *index = NULL;
    uint64_t at = 0;
    lzma_ret ret = lzma_file_info_decoder(&stream, &index, DISK_XZ_MAX_INDEX, input->size);

    while (ret == LZMA_OK || ret == LZMA_SEEK_NEEDED) {
        if (ret == LZMA_SEEK_NEEDED) {
            at = stream.seek_pos;
            stream.avail_in = 0;
        }
        if (stream.avail_in == 0 && !feed(input, &stream, buffer, &at, error)) {
            lzma_end(&stream);
            return NULL;
        }
        ret = lzma_code(&stream, LZMA_RUN); /* without input it ends with LZMA_BUF_ERROR */
    }
    lzma_end(&stream);
    if (ret == LZMA_STREAM_END)
        return index;
    disk_xz_fail(error, name, ret);
    return NULL;
}

bool
disk_xz_raw_size(int fd, const char *name, uint64_t *out_size, GError **error)
{
    const DiskXzFile file = {fd, name};
    DiskXzInput input;
    lzma_index *index;

    if (!disk_xz_input_file(&input, &file, error))
        return false;
    index = disk_xz_read_index(&input, name, error);
    if (index == NULL)
        return false;
    *out_size = lzma_index_uncompressed_size(index);
    lzma_index_end(index, NULL);
    return true;
}
