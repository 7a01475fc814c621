// SPDX-License-Identifier: Apache-2.0
/* What the two halves of the wall around liblzma share: xz_encode.c and xz_decode.c. Private to disk/. */
#pragma once

#include "base/error.h"

#include <lzma.h>

/** disk_xz_fail: liblzma's verdict @ret about the file @name as an error. Returns: false always */
bool disk_xz_fail(GError **error, const char *name, lzma_ret ret);
