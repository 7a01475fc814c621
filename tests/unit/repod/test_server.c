// SPDX-License-Identifier: Apache-2.0
/* The time limits of a running server, made short. What clients see otherwise is in tests/e2e/test_repod.py. */
#include "repod/repod.h"

#include "base/fd.h"
#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Large enough that no pair of socket buffers holds it. */
#define BIG_BYTES (64 * 1024 * 1024)
#define SHORT_MS 200

typedef struct {
    char *dir;
    pid_t pid;
    in_port_t port;
} Fixture;

static in_port_t
port_of(const RepodServer *server)
{
    return htons((in_port_t)g_ascii_strtoull(strrchr(repod_uris(server), ':') + 1, NULL, 10));
}

/* Serve from a process of its own; the parent knows the port because the server listens before the fork. */
static void
serve(Fixture *fixture)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    g_autoptr(GError) error = NULL;
    RepodOptions options = {
        .root = fixture->dir,
        .listen = listen,
        .threads = 2,
        .head_timeout_ms = SHORT_MS,
        .idle_timeout_ms = 2 * SHORT_MS,
        .write_timeout_ms = SHORT_MS,
        .stop_timeout_ms = 1, /* before the time limit for writing can end the response */
    };
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    fixture->pid = fork();
    assert_true(fixture->pid >= 0);
    if (fixture->pid == 0) {
        RepodServer *server = repod_new(&options, &error);
        in_port_t port = server == NULL ? 0 : port_of(server);
        bool is_ok =
            write(ends[1], &port, sizeof port) == sizeof port && server != NULL && repod_run(server, &error);

        repod_free(server);
        _exit(is_ok ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &fixture->port, sizeof fixture->port), sizeof fixture->port);
    close(ends[0]);
    assert_int_not_equal(fixture->port, 0);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *path = NULL;

    fixture->dir = g_dir_make_tmp("repod-test-XXXXXX", NULL);
    path = g_build_filename(fixture->dir, "big", NULL);
    assert_true(file_write_atomic(path, "", 0, 0644, NULL));
    assert_int_equal(truncate(path, BIG_BYTES), 0);
    serve(fixture);
    *state = fixture;
    return 0;
}

static int
stop(Fixture *fixture, int signal)
{
    int status = -1;

    kill(fixture->pid, signal);
    waitpid(fixture->pid, &status, 0);
    fixture->pid = 0;
    return status;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    if (fixture->pid > 0)
        stop(fixture, SIGKILL);
    file_remove_tree(fixture->dir, NULL);
    g_free(fixture->dir);
    g_free(fixture);
    return 0;
}

static int
connect_to(const Fixture *fixture)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = fixture->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
say(int fd, const char *text)
{
    assert_true(fd_write_all(fd, text, strlen(text), "server", NULL));
}

/* Count the bytes that come until the server closes. The first ones are kept in @out_start. */
static size_t
drain(int fd, char out_start[64])
{
    g_autofree char *buffer = g_malloc(65536);
    size_t total = 0;
    ssize_t n;

    while ((n = read(fd, buffer, 65536)) > 0) {
        if (total == 0)
            g_strlcpy(out_start, buffer, MIN(64, (gsize)n + 1));
        total += (size_t)n;
    }
    return total;
}

static void
closes_a_connection_that_never_asks(void **state)
{
    g_auto(Fd) fd = connect_to(*state);
    char start[64];

    assert_int_equal(drain(fd, start), 0);
}

static void
answers_408_to_a_head_that_never_ends(void **state)
{
    g_auto(Fd) fd = connect_to(*state);
    char start[64] = "";

    say(fd, "GET /big HTTP/1.1\r\nHost: h\r\n");
    drain(fd, start);
    assert_true(g_str_has_prefix(start, "HTTP/1.1 408 "));
}

static void
closes_a_connection_that_is_idle_between_requests(void **state)
{
    g_auto(Fd) fd = connect_to(*state);
    gint64 started = g_get_monotonic_time();
    char start[64] = "";

    say(fd, "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n");
    drain(fd, start);
    assert_true(g_str_has_prefix(start, "HTTP/1.1 200 "));
    /* The idle limit held, not the shorter one for a head. libevent's clock is the kernel's coarse one. */
    assert_true(g_get_monotonic_time() - started >= 3 * SHORT_MS * 1000 / 2);
}

static void
say_and_take_one_byte(int fd, const char *text)
{
    char first;

    say(fd, text);
    assert_int_equal(read(fd, &first, 1), 1);
}

static void
gives_up_on_a_client_that_takes_nothing(void **state)
{
    g_auto(Fd) fd = connect_to(*state);
    struct pollfd reset = {.fd = fd};

    say_and_take_one_byte(fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    /* The server does not read while it writes. Closing with unread input makes its kernel send a reset, which is
     * seen here past all the bytes that still wait. */
    say(fd, "x");
    assert_int_equal(poll(&reset, 1, 20000), 1);
    assert_true((reset.revents & POLLHUP) != 0);
}

static void
fails_when_the_stop_deadline_cuts_a_response(void **state)
{
    Fixture *fixture = *state;
    g_auto(Fd) fd = connect_to(fixture);
    int status;

    say_and_take_one_byte(fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    status = stop(fixture, SIGTERM);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void
stops_cleanly_with_an_idle_connection(void **state)
{
    Fixture *fixture = *state;
    G_GNUC_UNUSED g_auto(Fd) fd = connect_to(fixture);
    int status = stop(fixture, SIGINT);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(closes_a_connection_that_never_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_408_to_a_head_that_never_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closes_a_connection_that_is_idle_between_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_up_on_a_client_that_takes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fails_when_the_stop_deadline_cuts_a_response, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_cleanly_with_an_idle_connection, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
