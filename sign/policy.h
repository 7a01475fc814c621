// SPDX-License-Identifier: Apache-2.0
/* What a signature is worth: from GnuPG's facts and our pins to yes, or to one sentence that says why not.
 * Pure. */
#pragma once

#include "sign/gpg.h"

/**
 * sign_policy_check:
 * @signatures: (element-type GpgSignature) all that a message carries: exactly one is accepted
 * @pins: NULL-terminated primary fingerprints, 40 upper-case hex digits
 * @may_be_expired: accept a signature that has expired: for the publisher's own index, about to be signed
 * again
 * @name: for messages
 * Errors: BASE_ERROR_UNTRUSTED
 */
bool sign_policy_check(const GPtrArray *signatures, const char *const *pins, bool may_be_expired,
                       const char *name, GError **error);
