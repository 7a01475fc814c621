// SPDX-License-Identifier: Apache-2.0
/* What a signature is worth: from GnuPG's facts and our pins to yes, or to one sentence that says why not.
 * Pure. */
#pragma once

#include "sign/gpg.h"

/**
 * sign_policy_check:
 * @signatures: (element-type GpgSignature) all that a message carries: exactly one is accepted
 * @pins: NULL-terminated fingerprints of primary keys or subkeys, 40 upper-case hex digits
 * @policy: SignPolicy flags
 * @name: for messages
 * @out_pin: (nullable) the pin that is satisfied; borrowed from @pins
 * Errors: BASE_ERROR_UNTRUSTED
 */
bool sign_policy_check(const GPtrArray *signatures, const char *const *pins, SignPolicy policy,
                       const char *name, const char **out_pin, GError **error);
