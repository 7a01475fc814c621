// SPDX-License-Identifier: Apache-2.0
/* The wall around libseccomp; and Landlock, which has no library. */
#include "fetch/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What memory, threads, waiting, time, the end, and open files take. */
static const char *const ALLOWED[] = {
    "read",        "pread64",         "write",
    "pwrite64",    "lseek",           "_llseek",
    "ftruncate",   "ftruncate64",     "munmap",
    "mremap",      "madvise",         "brk",
    "futex",       "futex_time64",    "sched_yield",
    "getrandom",   "clock_gettime",   "clock_gettime64",
    "nanosleep",   "clock_nanosleep", "clock_nanosleep_time64",
    "gettid",      "getpid",          "sched_getaffinity",
    "exit",        "exit_group",      "restart_syscall",
    "sigaltstack", "rt_sigprocmask",  "rt_sigreturn",
    "rseq",        "set_robust_list", "membarrier",
};

/* Refused, and no more: the C library looks for locales, and sanitizers for symbols, when there is something to report. */
static const char *const REFUSED[] = {
    "open",       "openat",     "openat2",    "stat",  "stat64", "fstat",
    "fstat64",    "newfstatat", "fstatat64",  "statx", "access", "faccessat",
    "faccessat2", "readlink",   "readlinkat", "ioctl", "prctl",
};

/* ---- the filter ---- */

static bool
add(scmp_filter_ctx filter, const char *const *names, size_t n, uint32_t action)
{
    for (size_t i = 0; i < n; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);

        /* Not every architecture has each of them; a negative number is libseccomp's own for such a one. */
        if (number >= 0 && seccomp_rule_add(filter, action, number, 0) != 0)
            return false;
    }
    return true;
}

/* Memory that can be written, but never run. */
static bool
add_memory(scmp_filter_ctx filter)
{
    static const char *const NAMES[] = {"mmap", "mmap2", "mprotect"};

    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        int number = seccomp_syscall_resolve_name(NAMES[i]);

        if (number >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
                                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) != 0)
            return false;
    }
    return true;
}

/* ThreadSanitizer has a thread of its own, which opens files and maps memory as it likes. */
#if defined(__SANITIZE_THREAD__)
#define ALL_ELSE SCMP_ACT_LOG
#else
#define ALL_ELSE SCMP_ACT_KILL_PROCESS
#endif

bool
sandbox_enter(GError **error)
{
    const struct rlimit none = {0, 0};
    scmp_filter_ctx filter = seccomp_init(ALL_ELSE);
    bool is_ok = filter != NULL && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
                 add(filter, ALLOWED, G_N_ELEMENTS(ALLOWED), SCMP_ACT_ALLOW) &&
                 add(filter, REFUSED, G_N_ELEMENTS(REFUSED), SCMP_ACT_ERRNO(EPERM)) && add_memory(filter) &&
                 setrlimit(RLIMIT_NPROC, &none) == 0 && seccomp_load(filter) == 0;

    seccomp_release(filter);
    return is_ok || error_set(error, "this kernel does not let a process confine itself (seccomp)");
}

/* ---- before it ---- */

/* Handled rights that no rule grants are refused: all that this kernel knows. A header older than the kernel lacks some. */
static bool
shut_files(GError **error)
{
    /* By version of the interface: rights to files as a mask of so many bits (linux/landlock.h, 6.7). */
    static const unsigned FILE_RIGHTS[] = {0, 13, 14, 15, 15, 16};
    struct {
        uint64_t files, network;
    } rules = {0, 0};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int ruleset;
    bool is_ok;

    if (version < 1) /* no Landlock: the filter refuses to open anything all the same */
        return true;
    version = MIN(version, (long)G_N_ELEMENTS(FILE_RIGHTS) - 1);
    rules.files = (UINT64_C(1) << FILE_RIGHTS[version]) - 1;
    rules.network = version >= 4 ? 3 : 0; /* to bind and to connect TCP */
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules,
                           version >= 4 ? sizeof rules : sizeof rules.files, 0);
    is_ok = ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    if (!is_ok)
        error_set_errno(error, "the file system cannot be shut out (Landlock)");
    if (ruleset >= 0)
        close(ruleset);
    return is_ok;
}

/* Never more than there is: raising a hard limit takes a privilege. */
static bool
limit(int what, uint64_t value)
{
    struct rlimit both;

    if (getrlimit(what, &both) < 0)
        return false;
    if (both.rlim_max == RLIM_INFINITY || both.rlim_max > value)
        both.rlim_max = value;
    both.rlim_cur = both.rlim_max;
    return setrlimit(what, &both) == 0;
}

bool
sandbox_prepare(const SandboxLimits *limits, GError **error)
{
    bool is_ok = limit(RLIMIT_CORE, 0) && limit(RLIMIT_CPU, limits->cpu_seconds) &&
                 limit(RLIMIT_FSIZE, limits->file_bytes) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;

/* The shadow memory of a sanitizer is terabytes of address space. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    is_ok = is_ok && limit(RLIMIT_AS, limits->memory_bytes);
#endif
    if (!is_ok)
        return error_set_errno(error, "a process cannot be limited");
    /* Last: the ruleset is a file, too. */
    if (!shut_files(error))
        return false;
    return limit(RLIMIT_NOFILE, limits->n_files) || error_set_errno(error, "a process cannot be limited");
}
