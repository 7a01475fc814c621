// SPDX-License-Identifier: Apache-2.0
/*
 * Whether KVM works here. Opening /dev/kvm, and even starting qemu with -S, prove nothing: under some nested
 * hypervisors qemu dies when the first virtual CPU is set up. So a few guest instructions are run.
 */
#include "guest/accel.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define KVM "/dev/kvm"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define PROBE_TIMEOUT_MS                                                                                     \
    10000 /* it takes 100 ms; a host so busy that this is too short needs no warning twice */
#define MEMORY_MAX_BYTES 4096u
#define MESSAGE_MAX_BYTES 4096u

/* A ROM that x86 enters 16 bytes below its end: mov al,0x10; out 0xf4,al; hlt. qemu's isa-debug-exit device makes
 * of it an exit status of (0x10 << 1) | 1. */
#define ROM_BYTES 65536u
#define RESET_VECTOR 0xfff0u
static const unsigned char ROM_CODE[] = {0xb0, 0x10, 0xe6, 0xf4, 0xf4};
#define ROM_EXIT_STATUS 33

static const char *const ACCEL_NAMES[] = {"auto", "kvm", "tcg"};

const char *
guest_accel_name(GuestAccel accel)
{
    return ACCEL_NAMES[accel];
}

bool
guest_accel_parse(const char *text, GuestAccel *out_accel, GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ACCEL_NAMES); i++) {
        if (strcmp(text, ACCEL_NAMES[i]) == 0) {
            *out_accel = (GuestAccel)i;
            return true;
        }
    }
    return error_set_code(error, BASE_ERROR_USAGE, "'%s': expected auto, kvm or tcg", text);
}

static char *
find_qemu(void)
{
    char *path = g_find_program_in_path("qemu-system-x86_64");

    if (path == NULL && access("/usr/libexec/qemu-kvm", X_OK) == 0)
        path = g_strdup("/usr/libexec/qemu-kvm"); /* RHEL's only name for it */
    return path;
}

static bool
is_x86_64(void)
{
    struct utsname name;

    return uname(&name) == 0 && strcmp(name.machine, "x86_64") == 0;
}

/* facts: what a verdict depends on, as one line; NULL where it cannot be known */
static char *
facts(const char *qemu)
{
    g_autofree char *boot_id = NULL;
    struct stat kvm_stat, qemu_stat;

    if (!g_file_get_contents(BOOT_ID, &boot_id, NULL, NULL) || stat(KVM, &kvm_stat) != 0 ||
        stat(qemu, &qemu_stat) != 0)
        return NULL;
    return g_strdup_printf("boot=%s uid=%u kvm=%llx/%o qemu=%s/%lld.%09ld", g_strstrip(boot_id), geteuid(),
                           (unsigned long long)kvm_stat.st_rdev, kvm_stat.st_mode, qemu,
                           (long long)qemu_stat.st_mtim.tv_sec, qemu_stat.st_mtim.tv_nsec);
}

static char *
write_rom(void)
{
    g_autofree unsigned char *rom = g_malloc0(ROM_BYTES);
    g_autofree char *path = NULL;
    g_auto(Fd) fd = g_file_open_tmp("virt-depot-kvm-XXXXXX", &path, NULL);

    if (fd < 0)
        return NULL;
    memcpy(rom + RESET_VECTOR, ROM_CODE, sizeof(ROM_CODE));
    if (!fd_write_all(fd, rom, ROM_BYTES, path, NULL)) {
        unlink(path);
        return NULL;
    }
    return g_steal_pointer(&path);
}

/* read_until_exit: what the child says on @fd until it ends, which closes it. False after a timeout or signal. */
static bool
read_until_exit(int fd, GString *message)
{
    gint64 deadline_us = g_get_monotonic_time() + PROBE_TIMEOUT_MS * (gint64)1000;

    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        gint64 left_ms = (deadline_us - g_get_monotonic_time()) / 1000;
        int ready = left_ms > 0 ? poll(&poll_fd, 1, (int)left_ms) : 0;
        char buffer[512];
        ssize_t got;

        if (ready == -1 && errno == EINTR && interrupt_signal() == 0)
            continue;
        if (ready <= 0)
            return false;
        got = read(fd, buffer, sizeof(buffer));
        if (got <= 0)
            return true;
        if (message->len < MESSAGE_MAX_BYTES)
            g_string_append_len(message, buffer, got);
    }
}

/* first_line: (transfer full) what qemu said, fit for one line of a warning */
static char *
first_line(const GString *message, int status)
{
    g_autofree char *line = g_strndup(message->str, strcspn(message->str, "\r\n"));
    const char *text = strstr(line, "error: ");

    if (line[0] == '\0' && WIFSIGNALED(status))
        return g_strdup_printf("qemu died of signal %d", WTERMSIG(status));
    if (line[0] == '\0')
        return g_strdup_printf("qemu ended with status %d", WEXITSTATUS(status));
    if (strlen(line) > 200)
        line[200] = '\0';
    return g_utf8_make_valid(text != NULL ? text + strlen("error: ") : line, -1);
}

/* run_rom: NULL if guest code ran under KVM, else (transfer full) why not */
static char *
run_rom(const char *qemu, const char *rom)
{
    const char *argv[] = {qemu,
                          "-machine",
                          "pc,accel=kvm",
                          "-cpu",
                          "max",
                          "-nodefaults",
                          "-no-user-config",
                          "-display",
                          "none",
                          "-no-reboot",
                          "-m",
                          "16",
                          "-bios",
                          rom,
                          "-device",
                          "isa-debug-exit,iobase=0xf4,iosize=1",
                          NULL};
    g_autoptr(GString) message = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_auto(Fd) fd = -1;
    GPid pid;
    bool has_ended;
    int status = 0;

    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                  G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, &pid,
                                  NULL, NULL, &fd, &error))
        return g_strdup(error->message);
    has_ended = read_until_exit(fd, message);
    if (!has_ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    if (!has_ended)
        return g_strdup("a test guest under KVM did not end in time");
    if (WIFEXITED(status) && WEXITSTATUS(status) == ROM_EXIT_STATUS)
        return NULL;
    return first_line(message, status);
}

static GuestAccel
probe(const char *qemu, char **out_reason)
{
    g_autofree char *rom = write_rom();
    g_autofree char *why = NULL;

    if (rom == NULL) {
        *out_reason = g_strdup("KVM could not be tried: no temporary file");
        return GUEST_ACCEL_TCG;
    }
    why = run_rom(qemu, rom);
    unlink(rom);
    if (why == NULL)
        return GUEST_ACCEL_KVM;
    *out_reason = g_strdup_printf("KVM does not work on this host, guests are emulated and slow: %s",
                                  g_strdelimit(why, "\033", '?'));
    return GUEST_ACCEL_TCG;
}

static bool
recall(const char *path, const char *now, GuestAccel *out_accel, char **out_reason)
{
    g_autoptr(GBytes) text = file_read(path, MEMORY_MAX_BYTES, NULL);
    gsize size;
    const char *data;

    if (text == NULL)
        return false;
    data = g_bytes_get_data(text, &size);
    return accel_memory_parse(data, size, now, out_accel, out_reason);
}

/* Failing to remember costs the next call a tenth of a second and nobody a result. */
static void
remember(const char *state_dir, const char *path, const char *now, const char *reason)
{
    g_autofree char *text = accel_memory_print(now, reason);

    if (file_make_dirs(state_dir, 0755, NULL))
        file_write_atomic(path, text, strlen(text), 0644, NULL);
}

GuestAccel
guest_accel_probe(const char *state_dir, char **out_reason)
{
    g_autofree char *qemu = find_qemu();
    g_autofree char *path = g_build_filename(state_dir, "accel.json", NULL);
    g_autofree char *now = NULL;
    g_auto(Fd) kvm = open(KVM, O_RDWR | O_CLOEXEC);
    GuestAccel accel;

    *out_reason = NULL;
    if (kvm < 0) {
        if (errno != ENOENT)
            *out_reason = g_strdup_printf(KVM ": %s", g_strerror(errno));
        return GUEST_ACCEL_TCG;
    }
    if (qemu == NULL || !is_x86_64())
        return GUEST_ACCEL_KVM; /* nothing to try it with */
    now = facts(qemu);
    if (now != NULL && recall(path, now, &accel, out_reason))
        return accel;
    accel = probe(qemu, out_reason);
    if (now != NULL && interrupt_signal() == 0)
        remember(state_dir, path, now, *out_reason);
    return accel;
}
