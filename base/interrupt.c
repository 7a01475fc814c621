// SPDX-License-Identifier: Apache-2.0
/* Signals that ask us to stop, remembered for whoever asks. */
#include "base/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* Atomic, as threads look at it while a handler writes it on another. */
static atomic_int caught;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler must not wait for a lock");

static void
remember(int number)
{
    caught = number;
}

void
interrupt_install(void)
{
    /* SA_RESETHAND: a second Ctrl-C kills at once. No SA_RESTART: blocking calls return and look. */
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction normal = {
        .sa_handler = SIG_DFL}; /* whoever started us may ignore it: then no child's end could be asked for */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGCHLD, &normal, NULL);
}

int
interrupt_signal(void)
{
    return caught;
}

bool
interrupt_check(GError **error)
{
    int number = caught;

    if (number == 0)
        return true;
    return error_set_code(error, BASE_ERROR_INTERRUPTED, "interrupted by %s", strsignal(number));
}
