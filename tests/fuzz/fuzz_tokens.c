// fuzz: repod
// SPDX-License-Identifier: Apache-2.0
/* A file of tokens of any bytes: refused with a reason, or the same again after printing; and any secret. */
#include "repod/tokens.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tokens = tokens_parse((const char *)data, size, "tokens", &error);
    g_autoptr(GPtrArray) again = NULL;
    g_autofree char *first = NULL, *second = NULL;

    g_assert((tokens == NULL) == (error != NULL));
    if (tokens == NULL)
        return 0;
    first = tokens_print(tokens);
    again = tokens_parse(first, strlen(first), "tokens", &error);
    g_assert(again != NULL && again->len == tokens->len);
    second = tokens_print(again);
    g_assert(strcmp(first, second) == 0);
    g_assert(tokens_find_secret(tokens, (const char *)data, size) == NULL);
    return 0;
}
