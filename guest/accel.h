// SPDX-License-Identifier: Apache-2.0
/* The memory of guest_accel_probe(): a verdict holds for one boot, one qemu binary and one /dev/kvm. Pure. */
#pragma once

#include "guest/guest.h"

/** accel_memory_print: (transfer full) the state file that says that KVM works (@reason NULL) or why not. */
char *accel_memory_print(const char *facts, const char *reason);

/**
 * accel_memory_parse: whether @text, a state file, holds a verdict for the same @facts. Damaged text is a miss.
 * @out_reason: (transfer full) (nullable): as it was printed
 */
bool accel_memory_parse(const char *text, size_t size, const char *facts, GuestAccel *out_accel,
                        char **out_reason);
