// SPDX-License-Identifier: Apache-2.0
/*
 * The outer form of a signature, before GnuPG sees it. GnuPG skips what it does not understand, so that text
 * around a message, a second message or a second signature would pass unseen; here exactly one of each is let
 * through. Pure: bytes in, verdict out.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

/* The signature packet of an RSA key of 16384 bits with its subpackets is below 4 KiB; armour adds a third.
 */
#define ARMOR_MAX_SIGNATURE (64u << 10)
/* GnuPG cuts lines of a clear-signed message at 20,000 bytes (MAX_LINELEN): such a text is not what was
 * signed. */
#define ARMOR_MAX_LINE 19000u

/**
 * sign_armor_check_clear: whether the message is one clear-signed block (RFC 4880, 7) with one signature
 * packet, and nothing before or after it but line ends at the end. Only "Hash:" headers are let through:
 * "NotDashEscaped:" changes what is signed.
 * @name: for messages, which have the form "@name:LINE: ..."
 * Errors: BASE_ERROR_UNTRUSTED
 */
bool sign_armor_check_clear(const char *data, size_t size, const char *name, GError **error);

/**
 * sign_armor_detached_packet: the one signature packet of a detached signature, armoured or binary. Any other
 * packet is refused: a message smuggled into a signature file would be verified instead of the text beside
 * it. Returns: (transfer full) the binary packet, or NULL with BASE_ERROR_UNTRUSTED set
 */
GBytes *sign_armor_detached_packet(GBytes *signature, const char *name, GError **error);
