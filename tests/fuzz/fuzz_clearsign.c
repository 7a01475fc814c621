// fuzz: sign
// SPDX-License-Identifier: Apache-2.0
/* The outer form of clear-signed messages and detached signatures, as a server might send them. */
#include "sign/armor.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(GBytes) packet = NULL;
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;
    bool is_clear = sign_armor_check_clear((const char *)data, size, "fuzz", &first);

    packet = sign_armor_detached_packet(bytes, "fuzz", &second);
    /* Success and failure are told apart by the result and by the error alike, and nothing is both forms. */
    g_assert(is_clear == (first == NULL) && (packet != NULL) == (second == NULL));
    g_assert(!is_clear || packet == NULL);
    return 0;
}
