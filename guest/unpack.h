// SPDX-License-Identifier: Apache-2.0
/* Decompresses archives of this host (the wall around libarchive). */
#pragma once

#include "base/error.h"

/**
 * unpack_stream: what the file @path holds, decompressed, into @fd; gzip, bzip2, xz, lzma, zstd, lz4 and compress are known by their
 * first bytes, and anything else is passed on as it is.
 * Errors: UNAVAILABLE: nobody reads @fd any more
 */
bool unpack_stream(const char *path, int fd, GError **error);
