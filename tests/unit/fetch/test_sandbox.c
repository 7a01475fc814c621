// SPDX-License-Identifier: Apache-2.0
/* What a process can still do in the sandbox, each tried in a child of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pool.h"
#include "fetch/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_BYTES (1u << 20)
#define OPEN_FILES 64u
#define DONE 0
#define NOT_CONFINED 10 /* exit status: it could do what it must not */

static int file; /* open before */

static int
opens(const char *path, int flags)
{
    return open(path, flags, 0600) < 0 && (errno == EPERM || errno == EACCES) ? DONE : NOT_CONFINED;
}

static int
try_open_for_reading(void)
{
    return opens("/etc/passwd", O_RDONLY);
}

static int
try_open_for_writing(void)
{
    return opens("/tmp/x", O_WRONLY | O_CREAT);
}

static int
try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? DONE : NOT_CONFINED;
}

static int
try_fork(void)
{
    return fork() < 0 ? DONE : NOT_CONFINED;
}

static int
try_exec(void)
{
    execl("/bin/true", "true", NULL);
    return DONE;
}

static int
try_kill(void)
{
    return kill(getppid(), 0) < 0 ? DONE : NOT_CONFINED;
}

static int
try_memory_that_runs(void)
{
    mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return NOT_CONFINED;
}

static int
try_memory(void)
{
    uint8_t *data = malloc(10u << 20);

    memset(data, 1, 10u << 20);
    free(data);
    return DONE;
}

static int
try_open_file(void)
{
    char byte = 'x';

    return pwrite(file, &byte, 1, 5) == 1 && pread(file, &byte, 1, 5) == 1 && byte == 'x' &&
                   ftruncate(file, 100) == 0
               ? DONE
               : NOT_CONFINED;
}

static int
try_large_file(void)
{
    char byte = 'x';

    (void)!pwrite(file, &byte, 1, FILE_BYTES);
    return NOT_CONFINED;
}

static int
try_another_file_number(void)
{
    return dup(file) < 0 ? DONE : NOT_CONFINED;
}

static void
open_on_a_thread(void *result)
{
    _exit(opens("/etc/passwd", O_RDONLY) == DONE ? DONE : *(int *)result);
}

static PoolQueue *threads;

static int
try_on_a_thread_from_before(void)
{
    static int result = NOT_CONFINED;

    pool_queue_push(threads, open_on_a_thread, &result);
    pause(); /* which it may not */
    return NOT_CONFINED;
}

static const struct {
    const char *name;
    int (*try)(void);
    int may_die_of; /* 0: it must end by itself */
} CASES[] = {
    {"open for reading", try_open_for_reading, 0},
    {"open for writing", try_open_for_writing, 0},
    {"socket", try_socket, SIGSYS},
    {"fork", try_fork, SIGSYS},
    {"exec", try_exec, SIGSYS},
    {"kill", try_kill, SIGSYS},
    {"memory that runs", try_memory_that_runs, SIGSYS},
    {"memory", try_memory, 0},
    {"an open file", try_open_file, 0},
    {"a large file", try_large_file, SIGXFSZ},
    {"another file number", try_another_file_number, SIGSYS},
};

static int
run_confined(int (*try)(void), bool has_threads)
{
    const SandboxLimits limits = {
        .memory_bytes = 1u << 30, .cpu_seconds = 10, .file_bytes = FILE_BYTES, .n_files = OPEN_FILES};
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (!sandbox_prepare(&limits, NULL))
            _exit(1);
        threads = has_threads ? pool_queue_new(2, NULL) : NULL;
        _exit(sandbox_enter(NULL) ? try() : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
what_is_open_works_and_nothing_else_can_be_had(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        int status = run_confined(CASES[i].try, false);
        bool is_right = CASES[i].may_die_of != 0
                            ? WIFSIGNALED(status) && WTERMSIG(status) == CASES[i].may_die_of
                            : WIFEXITED(status) && WEXITSTATUS(status) == DONE;

        if (!is_right)
            fail_msg("%s: wait status %#x", CASES[i].name, (unsigned)status);
    }
}

static void
threads_that_were_there_before_are_confined_too(void **state G_GNUC_UNUSED)
{
    int status = run_confined(try_on_a_thread_from_before, true);

    /* Either thread may be the first to do what it may not. */
    assert_true((WIFEXITED(status) && WEXITSTATUS(status) == DONE) ||
                (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
}

static int
spin(void)
{
    for (volatile bool is_running = true; is_running;)
        ;
    return NOT_CONFINED;
}

static void
time_ends(void **state G_GNUC_UNUSED)
{
    const SandboxLimits limits = {
        .memory_bytes = 1u << 30, .cpu_seconds = 1, .file_bytes = FILE_BYTES, .n_files = OPEN_FILES};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(sandbox_prepare(&limits, NULL) && sandbox_enter(NULL) ? spin() : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_open_works_and_nothing_else_can_be_had),
        cmocka_unit_test(threads_that_were_there_before_are_confined_too),
        cmocka_unit_test(time_ends),
    };

    file = memfd_create("file", 0);
    return file < 0 || cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
