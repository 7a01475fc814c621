// SPDX-License-Identifier: Apache-2.0
/* Decompresses through libarchive. Its filters that start other programs are left out. */
#include "guest/unpack.h"

#include "base/fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#define BLOCK_BYTES (64u << 10)

static bool
fail(struct archive *archive, const char *path, GError **error)
{
    const char *text = archive_error_string(archive);

    return error_set(error, "%s: cannot unpack: %s", path, text != NULL ? text : "unknown error");
}

static bool
pump(struct archive *archive, const char *path, int fd, GError **error)
{
    g_autofree char *block = g_malloc(BLOCK_BYTES);
    la_ssize_t n;

    while ((n = archive_read_data(archive, block, BLOCK_BYTES)) > 0) {
        g_autoptr(GError) problem = NULL;

        if (fd_write_all(fd, block, (size_t)n, "pipe", &problem))
            continue;
        return error_set_code(error, BASE_ERROR_UNAVAILABLE, "%s", problem->message);
    }
    return n == 0 || fail(archive, path, error);
}

bool
unpack_stream(const char *path, int fd, GError **error)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    bool is_ok;

    g_assert(archive != NULL);
    archive_read_support_format_raw(archive);
    archive_read_support_format_empty(archive);
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_lzma(archive);
    archive_read_support_filter_zstd(archive);
    archive_read_support_filter_lz4(archive);
    archive_read_support_filter_compress(archive);
    if (archive_read_open_filename(archive, path, BLOCK_BYTES) != ARCHIVE_OK)
        is_ok = fail(archive, path, error);
    else if (archive_read_next_header(archive, &entry) < ARCHIVE_WARN)
        is_ok = fail(archive, path, error);
    else
        is_ok = pump(archive, path, fd, error);
    archive_read_free(archive);
    return is_ok;
}
