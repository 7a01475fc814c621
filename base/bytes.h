// SPDX-License-Identifier: Apache-2.0
/* Numbers as other people's formats hold them: at any address, in a stated byte order. */
#pragma once

#include <glib.h>
#include <string.h>

static inline uint32_t
bytes_le32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_LE(value);
}

static inline uint64_t
bytes_le64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_LE(value);
}

static inline uint32_t
bytes_be32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_BE(value);
}

static inline uint64_t
bytes_be64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_BE(value);
}
