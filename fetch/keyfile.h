// SPDX-License-Identifier: Apache-2.0
/* What keys a key file holds, remembered by its content below path_state()/keyfiles: asking gpg each time is slow. */
#pragma once

#include "base/error.h"

/** keyfile_pins: (transfer full) the primary fingerprints of all keys in @keys, at least one. @name: for messages */
char **keyfile_pins(GBytes *keys, const char *name, GError **error);
