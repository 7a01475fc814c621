// SPDX-License-Identifier: Apache-2.0
/* The passphrases that --key gives, as virt-customize has it: "DEVICE-or-UUID-or-all:key:TEXT" or "...:file:FILE". */
#pragma once

#include "guest/guest.h"

/**
 * keys_next: (nullable) the next passphrase for the LUKS container @device ("/dev/sda2", on the appliance's disk @disk) with
 * @uuid. A key's device is named as if the guest's disk were the only one: /dev/sda2 or /dev/vda2.
 * @at: 0 at first; which key to try next
 */
const char *keys_next(const GuestKeys *keys, const char *disk, const char *device, const char *uuid,
                      unsigned *at);
