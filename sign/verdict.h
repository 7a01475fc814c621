// SPDX-License-Identifier: Apache-2.0
/*
 * What GnuPG said before. Forking gpg costs more than reading an index, and its answer depends on nothing but the
 * bytes, the keys, the pins, the policy and the clock: the first four are in the verdict's id, the clock is
 * looked at each time.
 */
#pragma once

#include "sign/sign.h"

/** sign_verdict_id: (transfer full) a digest of all that the verdict rests on. @text: NULL for a clear-signed
 * @message. */
char *sign_verdict_id(GBytes *message, GBytes *text, const SignCheck *check, const char *const *pins);

/**
 * sign_verdict_lookup: (nullable) the verdict with that id, if the file @path holds it, is nobody else's to write,
 * and neither signature nor key have expired since. Then GnuPG has the word again, and its sentence.
 * @text: as for sign_verdict_id()
 */
SignVerified *sign_verdict_lookup(const char *path, const char *id, GBytes *text, int64_t now);

/** sign_verdict_store: remember a good verdict in place of the last one. Failing to is no error. */
void sign_verdict_store(const char *path, const char *id, GBytes *text, const SignVerified *verified);
