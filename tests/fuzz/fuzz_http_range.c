// fuzz: repod
// SPDX-License-Identifier: Apache-2.0
/* A Range field: whatever it says, the window lies within the file. The first byte picks the file's size. */
#include "repod/range.h"

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t sizes[] = {0, 1, 10, 4096, UINT64_C(6000000000), INT64_MAX, UINT64_MAX};
    uint64_t file_size;
    ByteRange range;

    if (size == 0)
        return 0;
    file_size = sizes[data[0] % G_N_ELEMENTS(sizes)];
    switch (range_parse((HttpText){(const char *)data + 1, size - 1}, file_size, &range)) {
    case RANGE_WHOLE:
        g_assert(range.first == 0 && range.length == file_size);
        break;
    case RANGE_PART:
        g_assert(range.length > 0 && range.length <= file_size && range.first <= file_size - range.length);
        break;
    case RANGE_UNSATISFIABLE:
        g_assert(range.length == 0);
        break;
    }
    return 0;
}
