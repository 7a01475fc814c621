// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* Deltas: an even first byte makes the rest a map between sizes that the next bytes state, an odd one a whole file, which
 * is applied where it is taken. */
#include "base/fd.h"
#include "disk/delta.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_IMAGE (1u << 20) /* what is applied, so that one input costs little */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_runs(const DiskDelta *delta)
{
    uint64_t at = 0, literal = 0;

    for (guint i = 0; i < delta->runs->len; i++) {
        const DiskDeltaRun *run = &g_array_index(delta->runs, DiskDeltaRun, i);

        g_assert(run->n > 0 && run->start == at);
        if (run->kind == DISK_DELTA_COPY)
            g_assert(run->from * DISK_GRAIN + delta_run_bytes(delta, run) <= delta->base_size);
        if (run->kind == DISK_DELTA_NEW) {
            g_assert(run->from == literal);
            literal += run->n;
        }
        at += run->n;
    }
    g_assert(at == (delta->raw_size + DISK_GRAIN - 1) / DISK_GRAIN);
    g_assert(delta_literal_bytes(delta) <= literal * DISK_GRAIN);
}

static void
fuzz_map(const uint8_t *data, size_t size)
{
    g_autoptr(DiskDelta) delta = disk_delta_new();
    g_autoptr(GError) error = NULL;
    uint32_t sizes[2];

    if (size < sizeof sizes)
        return;
    memcpy(sizes, data, sizeof sizes);
    delta->base_size = sizes[0];
    delta->raw_size = sizes[1];
    if (delta_map_parse(data + sizeof sizes, size - sizeof sizes, delta, "fuzz", &error)) {
        g_autoptr(GByteArray) printed = delta_map_print(delta);

        check_runs(delta);
        g_assert(printed->len == size - sizeof sizes);
        for (guint i = 0; i < printed->len; i++)
            g_assert(printed->data[i] == data[sizeof sizes + i]);
    } else {
        g_assert(error != NULL);
    }
}

static void
fuzz_file(const uint8_t *data, size_t size)
{
    g_auto(Fd) fd = memfd_create("fuzz", MFD_CLOEXEC), base = memfd_create("base", MFD_CLOEXEC),
               out = memfd_create("out", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskDelta) delta = NULL;

    g_assert(fd >= 0 && base >= 0 && out >= 0 && fd_write_all(fd, data, size, "fuzz", NULL));
    delta = disk_delta_read(fd, "fuzz", &error);
    if (delta == NULL) {
        g_assert(error != NULL);
        return;
    }
    check_runs(delta);
    if (delta->base_size > MAX_IMAGE || delta->raw_size > MAX_IMAGE)
        return;
    g_assert(ftruncate(base, (off_t)delta->base_size) == 0);
    disk_delta_apply(delta, fd, "fuzz", base, "base", out, "out", 1, NULL, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        (data[0] % 2 == 0 ? fuzz_map : fuzz_file)(data + 1, size - 1);
    return 0;
}
