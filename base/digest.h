// SPDX-License-Identifier: Apache-2.0
/* Message digests (the wall around libcrypto). */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum { DIGEST_SHA256, DIGEST_SHA512 } DigestKind;
typedef struct Digest Digest;

Digest *digest_new(DigestKind kind);
void digest_free(Digest *digest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Digest, digest_free)

void digest_update(Digest *digest, const void *data, size_t size);

/** digest_finish: (transfer full) the digest in lower-case hex. @digest may only be freed afterwards. */
char *digest_finish(Digest *digest);

/** digest_finish_sha256: the same as DIGEST_SHA256_BYTES bytes, of a DIGEST_SHA256. */
#define DIGEST_SHA256_BYTES 32
void digest_finish_sha256(Digest *digest, uint8_t out[DIGEST_SHA256_BYTES]);

/** digest_bytes: (transfer full) the hex digest of a buffer. */
char *digest_bytes(DigestKind kind, const void *data, size_t size);

/** digest_sha256: the digest of a buffer as DIGEST_SHA256_BYTES bytes. */
void digest_sha256(const void *data, size_t size, uint8_t out[DIGEST_SHA256_BYTES]);

/**
 * digest_file: (transfer full) the hex digest of @fd from its first byte, @name for messages.
 * Fails with BASE_ERROR_INTERRUPTED after Ctrl-C.
 */
char *digest_file(DigestKind kind, int fd, const char *name, GError **error);

/** digest_is_hex: whether @text is a digest of @kind in hex, of either case. */
bool digest_is_hex(DigestKind kind, const char *text);

/** digest_is_same: whether @size bytes are equal, in a time that does not tell where they differ. */
bool digest_is_same(const void *first, const void *second, size_t size);
