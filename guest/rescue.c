// SPDX-License-Identifier: Apache-2.0
/*
 * The appliance's own shell. With guestfs_rescue=1 its init starts one on the serial console beside the daemon; what is typed
 * goes there, and what it prints comes from there. The console's socket is what virt-rescue uses, too: libguestfs exports it,
 * but does not promise it.
 */
#define GUESTFS_PRIVATE 1
#include "guest/view.h"

#include "base/fd.h"
#include "base/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define BUFFER_BYTES 4096
#define ESCAPE 0x1d      /* Ctrl-], as in telnet and virsh console */
#define END_OF_FILE 0x04 /* Ctrl-D: the shell ends */

/* The keys go through as they are: Ctrl-C is for what runs in the appliance. */
static bool
make_raw(int fd, struct termios *out_before)
{
    struct termios raw;

    if (!isatty(fd) || tcgetattr(fd, out_before) < 0)
        return false;
    raw = *out_before;
    cfmakeraw(&raw);
    return tcsetattr(fd, TCSAFLUSH, &raw) == 0;
}

typedef enum { PASSED, ENDED, FAILED } Passed;

static Passed
pass_input(int in_fd, int console, GError **error)
{
    char buffer[BUFFER_BYTES];
    ssize_t n = read(in_fd, buffer, sizeof buffer);

    if (n <= 0) {
        buffer[0] = END_OF_FILE;
        return fd_write_all(console, buffer, 1, "console", error) ? ENDED : FAILED;
    }
    if (isatty(in_fd) && memchr(buffer, ESCAPE, (size_t)n) != NULL)
        return ENDED;
    return fd_write_all(console, buffer, (size_t)n, "console", error) ? PASSED : FAILED;
}

static Passed
pass_output(int console, int out_fd, GError **error)
{
    char buffer[BUFFER_BYTES];
    ssize_t n = read(console, buffer, sizeof buffer);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return PASSED;
    if (n <= 0)
        return ENDED; /* the appliance is off */
    return fd_write_all(out_fd, buffer, (size_t)n, "standard output", error) ? PASSED : FAILED;
}

static bool
talk(int in_fd, int out_fd, int console, GError **error)
{
    struct pollfd ends[2] = {{in_fd, POLLIN, 0}, {console, POLLIN, 0}};

    for (;;) {
        Passed passed = PASSED;

        if (poll(ends, 2, -1) < 0 && errno != EINTR)
            return error_set_errno(error, "console");
        if (!interrupt_check(error))
            return false;
        if (ends[1].revents != 0 && (passed = pass_output(console, out_fd, error)) != PASSED)
            return passed == ENDED;
        if (ends[0].revents != 0)
            passed = pass_input(in_fd, console, error);
        if (passed == FAILED || (passed == ENDED && isatty(in_fd)))
            return passed == ENDED;
        if (passed == ENDED)
            ends[0].fd = -1; /* a script was read to its end; now the shell ends */
    }
}

bool
guest_view_console(GuestView *view, int in_fd, int out_fd, GError **error)
{
    int console = guestfs_internal_get_console_socket(view->g);
    struct termios before;
    bool is_raw, is_ok;

    if (console == -1)
        return appliance_fail(view->g, view->label, "reach the console", error);
    is_raw = make_raw(in_fd, &before);
    is_ok = talk(in_fd, out_fd, console, error);
    if (is_raw)
        tcsetattr(in_fd, TCSAFLUSH, &before);
    if (!is_ok)
        return false;
    /* The shell's end is the appliance's: it has synced, and is gone. */
    guestfs_umount_all(view->g);
    guestfs_shutdown(view->g);
    for (unsigned i = 0; view->is_writable && i < view->n; i++)
        if (fsync(view->works[i].original) != 0)
            return error_set_errno(error, "%s: cannot sync", view->works[i].name);
    return true;
}
