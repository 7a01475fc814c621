// fuzz: sign
// SPDX-License-Identifier: Apache-2.0
/* The texts of trust and the framing of their signatures, as a server might send them. */
#include "sign/sign.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is written the same way: one content has one spelling. */
static void
check_chain(GBytes *bytes, const GPtrArray *chain)
{
    g_autoptr(GString) again = g_string_new(NULL);

    g_assert(chain->len > 0 && chain->len <= SIGN_TRUST_MAX_VERSIONS);
    for (guint i = 0; i < chain->len; i++) {
        const SignTrust *trust = g_ptr_array_index(chain, i);
        g_autofree char *text = sign_trust_print(trust);

        g_assert(trust->version == i + 1 && trust->threshold >= 1);
        g_assert(trust->threshold <= g_strv_length(trust->roots));
        g_assert(g_strv_length(trust->roots) <= SIGN_TRUST_MAX_ROOTS && trust->index_keys->len > 0);
        g_string_append(again, text);
    }
    g_assert(again->len == g_bytes_get_size(bytes));
    g_assert(memcmp(again->str, g_bytes_get_data(bytes, NULL), again->len) == 0);
}

static void
check_signatures(GBytes *bytes, const GPtrArray *signatures)
{
    g_autoptr(GString) again = g_string_new(NULL);

    for (guint i = 0; i < signatures->len; i++) {
        const SignTrustSignature *signature = g_ptr_array_index(signatures, i);

        g_assert(signature->version >= 1 && signature->version <= SIGN_TRUST_MAX_VERSIONS);
        sign_trust_print_signature(again, signature->version, signature->armour);
    }
    g_assert(again->len == g_bytes_get_size(bytes));
    g_assert(memcmp(again->str, g_bytes_get_data(bytes, NULL), again->len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(GError) first = NULL, second = NULL;
    g_autoptr(GPtrArray) chain = sign_trust_parse(bytes, "fuzz", &first);
    g_autoptr(GPtrArray) signatures = sign_trust_parse_signatures(bytes, "fuzz", &second);

    g_assert((chain != NULL) == (first == NULL) && (signatures != NULL) == (second == NULL));
    g_assert(chain == NULL || signatures == NULL);
    if (chain != NULL)
        check_chain(bytes, chain);
    if (signatures != NULL)
        check_signatures(bytes, signatures);
    return 0;
}
