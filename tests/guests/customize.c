// SPDX-License-Identifier: Apache-2.0
/*
 * guest_customize() for tests: customize [--key KEY] [--clones] [--shrink-to BYTES] NAME=DISK...
 * Every raw disk is grown to its file's size, or shrunk, and its guest gets the host name NAME.
 */
#include "guest/guest.h"

#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    g_autoptr(GuestKeys) keys = guest_keys_new();
    g_autofree GuestEdit *edits = g_new0(GuestEdit, (gsize)argc);
    g_autofree char *reason = NULL;
    g_autoptr(GError) error = NULL;
    GuestRun run = {.accel = GUEST_ACCEL_AUTO};
    uint64_t shrink_to = 0;
    unsigned n = 0;

    for (int i = 1; i < argc && error == NULL; i++) {
        char *equals = strchr(argv[i], '=');

        if (strcmp(argv[i], "--clones") == 0) {
            run.is_same_image = true;
        } else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc) {
            if (guest_keys_add(keys, argv[++i], &error))
                run.keys = keys;
        } else if (strcmp(argv[i], "--shrink-to") == 0 && i + 1 < argc) {
            shrink_to = g_ascii_strtoull(argv[++i], NULL, 10);
        } else if (equals != NULL) {
            *equals = '\0';
            edits[n++] = (GuestEdit){.path = equals + 1,
                                     .format = DISK_RAW,
                                     .label = argv[i],
                                     .grow = shrink_to == 0,
                                     .shrink_to = shrink_to,
                                     .hostname = argv[i]};
        }
    }
    if (error != NULL || !guest_customize(edits, n, &run, &reason, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return error->code == BASE_ERROR_USAGE ? 2 : 1;
    }
    return 0;
}
