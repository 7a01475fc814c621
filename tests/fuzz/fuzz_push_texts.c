// fuzz: store
// SPDX-License-Identifier: Apache-2.0
/* A push of any bytes: refused with a reason, or exactly what printing its texts gives. */
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) message = g_bytes_new(data, size);
    g_autoptr(GError) error = NULL;
    StoreText texts[STORE_MAX_TEXTS] = {0};
    size_t n = 0;

    if (store_texts_parse(message, texts, &n, &error)) {
        g_autoptr(GBytes) printed = store_texts_print(texts, n);

        g_assert(error == NULL && (n == 4 || n == 6));
        g_assert(g_bytes_equal(printed, message));
    } else {
        g_assert(error != NULL);
    }
    for (size_t i = 0; i < STORE_MAX_TEXTS; i++)
        store_text_clear(&texts[i]);
    return 0;
}
