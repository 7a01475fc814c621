// SPDX-License-Identifier: Apache-2.0
/* The Range field of RFC 9110, 14; private to repod/. Pure. */
#pragma once

#include "repod/http_parse.h"

#include <stdint.h>

typedef enum {
    RANGE_WHOLE,         /* no range, an invalid one, or several: the whole file is always a right answer */
    RANGE_PART,          /* 206 */
    RANGE_UNSATISFIABLE, /* 416 */
} RangeKind;

typedef struct {
    uint64_t first;
    uint64_t length;
} ByteRange;

/**
 * range_parse: which bytes of a file of @size bytes @text asks for. @out_range is always set: to all of the
 * file for RANGE_WHOLE, to nothing for RANGE_UNSATISFIABLE.
 */
RangeKind range_parse(HttpText text, uint64_t size, ByteRange *out_range);
