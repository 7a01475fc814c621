// SPDX-License-Identifier: Apache-2.0
/* SHA-256 and SHA-512 through libcrypto, which uses the CPU's own instructions. */
#include "base/digest.h"

#include "base/fd.h"
#include "base/interrupt.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define READ_BYTES (1u << 20)

struct Digest {
    EVP_MD_CTX *context;
};

static const EVP_MD *
method(DigestKind kind)
{
    return kind == DIGEST_SHA256 ? EVP_sha256() : EVP_sha512();
}

Digest *
digest_new(DigestKind kind)
{
    Digest *digest = g_new0(Digest, 1);

    digest->context = EVP_MD_CTX_new();
    /* These calls fail only without memory or with a broken libcrypto, which no caller could mend. */
    if (digest->context == NULL || EVP_DigestInit_ex(digest->context, method(kind), NULL) != 1)
        g_error("libcrypto cannot make a digest");
    return digest;
}

void
digest_free(Digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    g_free(digest);
}

void
digest_update(Digest *digest, const void *data, size_t size)
{
    if (EVP_DigestUpdate(digest->context, data, size) != 1)
        g_error("libcrypto cannot update a digest");
}

char *
digest_finish(Digest *digest)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char *hex;

    if (EVP_DigestFinal_ex(digest->context, value, &size) != 1)
        g_error("libcrypto cannot finish a digest");
    hex = g_malloc(2 * (gsize)size + 1);
    for (unsigned i = 0; i < size; i++)
        g_snprintf(hex + 2 * (gsize)i, 3, "%02x", value[i]);
    return hex;
}

void
digest_finish_sha256(Digest *digest, uint8_t out[DIGEST_SHA256_BYTES])
{
    g_assert(EVP_MD_CTX_get_size(digest->context) == DIGEST_SHA256_BYTES);
    if (EVP_DigestFinal_ex(digest->context, out, NULL) != 1)
        g_error("libcrypto cannot finish a digest");
}

char *
digest_bytes(DigestKind kind, const void *data, size_t size)
{
    g_autoptr(Digest) digest = digest_new(kind);

    digest_update(digest, data, size);
    return digest_finish(digest);
}

void
digest_sha256(const void *data, size_t size, uint8_t out[DIGEST_SHA256_BYTES])
{
    if (EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) != 1)
        g_error("libcrypto cannot make a digest");
}

char *
digest_file(DigestKind kind, int fd, const char *name, GError **error)
{
    g_autoptr(Digest) digest = digest_new(kind);
    g_autofree char *buffer = g_malloc(READ_BYTES);
    uint64_t offset = 0;

    for (;;) {
        ssize_t n = interrupt_check(error) ? fd_pread(fd, buffer, READ_BYTES, offset, name, error) : -1;

        if (n < 0)
            return NULL;
        if (n == 0)
            return digest_finish(digest);
        digest_update(digest, buffer, (size_t)n);
        offset += (uint64_t)n;
    }
}

bool
digest_is_hex(DigestKind kind, const char *text)
{
    size_t length = kind == DIGEST_SHA256 ? 64 : 128;
    size_t i = 0;

    while (text != NULL && g_ascii_isxdigit(text[i]))
        i++;
    return text != NULL && i == length && text[i] == '\0';
}

bool
digest_is_same(const void *first, const void *second, size_t size)
{
    return CRYPTO_memcmp(first, second, size) == 0;
}
