// SPDX-License-Identifier: Apache-2.0
/* Partition tables that sfdisk made, changed, and read again by sfdisk, which must find everything else as it was. */
#include "guest/table.h"

#include "temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB ((off_t)1 << 20)

static bool
read_file(void *context, uint64_t offset, uint8_t *bytes, size_t size, GError **error)
{
    if (pread(*(int *)context, bytes, size, (off_t)offset) == (ssize_t)size)
        return true;
    return error_set(error, "read beyond the end");
}

static bool
write_file(void *context, uint64_t offset, const uint8_t *bytes, size_t size, GError **error)
{
    if (pwrite(*(int *)context, bytes, size, (off_t)offset) == (ssize_t)size)
        return true;
    return error_set(error, "write failed");
}

/* sfdisk: (transfer full) what @command prints; "$0" in it is the disk */
static char *
shell(const char *command, const char *disk)
{
    const char *argv[] = {"/bin/sh", "-ec", command, disk, NULL};
    char *out = NULL;
    g_autofree char *message = NULL;
    int status = 0;

    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, &message, &status, NULL));
    if (status != 0)
        fail_msg("%s: %s", command, message);
    return out;
}

typedef struct {
    const char *before; /* as sfdisk reads it, on a disk of 64 MiB */
    int number;
    off_t size;        /* of the disk afterwards */
    int64_t by;        /* sectors */
    const char *after; /* what sfdisk says then: start and size of each partition */
} Case;

#define GPT_HEAD "label: gpt\nlabel-id: 4B09C2A5-BF42-4F4C-9E59-0D9C1C3C5E01\n"
#define GPT_ROOT ",type=linux,name=root,uuid=3E6B6B04-0D7A-4C9B-A9B8-6E35B1F5A101,attrs=LegacyBIOSBootable\n"
#define GPT_SWAP ",type=swap,name=swap,uuid=3E6B6B04-0D7A-4C9B-A9B8-6E35B1F5A102\n"

static const Case CASES[] = {
    {"label: dos\nstart=2048,bootable\n", 1, 128 * MIB, 131072, "2048 260096"},
    {"label: dos\nstart=2048,bootable\n", 1, 64 * MIB + 4096, 8, "2048 129032"},
    {"label: dos\nstart=2048,bootable\n", 1, 64 * MIB + 4095, 0, "2048 129024"},
    {"label: dos\nstart=2048,bootable\n", 1, 40 * MIB, -49152, "2048 79872"},
    {"label: dos\nstart=2048,size=96256\nstart=98304,type=82\n", 1, 128 * MIB, 131072,
     "2048 227328 229376 32768"},
    {"label: dos\nstart=2048,size=96256\nstart=98304,type=82\n", 1, 64 * MIB + 65536, 128,
     "2048 96384 98432 32768"},
    {"label: dos\nstart=2048,size=96256\nstart=98304,type=82\n", 1, 48 * MIB, -32768,
     "2048 63488 65536 32768"},
    /* a logical root with swap behind it, as Debian's installer makes it */
    {"label: "
     "dos\n1:start=2048,size=8192\n2:start=12286,type=5\n5:start=12288,size=81920\n6:start=96256,type=82\n",
     5, 128 * MIB, 131072, "2048 8192 12286 249858 12288 212992 227328 34816"},
    {"label: "
     "dos\n1:start=2048,size=8192\n2:start=12286,type=5\n5:start=12288,size=81920\n6:start=96256,type=82\n",
     5, 48 * MIB, -32768, "2048 8192 12286 86018 12288 49152 63488 34816"},
    /* a primary root, and behind it an extended partition with swap */
    {"label: dos\n1:start=2048,size=94208,bootable\n2:start=98302,type=5\n5:start=98304,type=82\n", 1,
     128 * MIB, 131072, "2048 225280 229374 32770 229376 32768"},
    {GPT_HEAD "start=2048" GPT_ROOT, 1, 128 * MIB, 133080, "2048 260056"},
    {GPT_HEAD "start=2048" GPT_ROOT, 1, 64 * MIB + 12288, 2032, "2048 129008"},
    {GPT_HEAD "start=2048" GPT_ROOT, 1, 32 * MIB, -63528, "2048 63448"},
    {GPT_HEAD "3:start=2048,size=94208" GPT_ROOT "7:start=98304,size=30720" GPT_SWAP, 3, 128 * MIB, 131072,
     "2048 225280 229376 30720"},
    /* as cloud images have it: the root's number is the first, its place the last */
    {GPT_HEAD "1:start=40960" GPT_ROOT "14:start=2048,size=2048,type=21686148-6449-6E6F-744E-656564454649\n"
              "15:start=4096,size=32768,type=uefi\n",
     1, 65 * MIB, 4056, "40960 92120 2048 2048 4096 32768"},
};

static void
check(const Case *c)
{
    static const char MAKE[] =
        "rm -f \"$0\"; truncate -s 64M \"$0\"; printf '%s' \"$SCRIPT\" | sfdisk -q \"$0\"";
    static const char NUMBERS[] =
        "sfdisk -d \"$0\" | sed -n 's/.*start= *\\([0-9]*\\), size= *\\([0-9]*\\).*/\\1 \\2/p' | "
        "tr '\\n' ' ' | sed 's/ $//'";
    static const char REST[] = "sfdisk -d \"$0\" | sed 's/start= *[0-9]*, size= *[0-9]*//; /^last-lba/d'";
    g_autofree char *disk = g_build_filename(dir, "disk", NULL);
    g_autofree char *old = NULL, *new = NULL, *numbers = NULL, *told = NULL;
    g_auto(Table) table = {0};
    g_autoptr(GError) error = NULL;
    int64_t by = 0;
    int fd;

    g_setenv("SCRIPT", c->before, true);
    g_free(shell(MAKE, disk));
    old = shell(REST, disk);
    fd = open(disk, O_RDWR | O_CLOEXEC);
    const TableIo io = {read_file, write_file, &fd, "disk"};

    if (!table_read(&io, &table, &error) ||
        !table_shift(&table, "disk", c->number, (uint64_t)c->size, &by, &error))
        fail_msg("%s: %s", c->before, error->message);
    assert_int_equal(by, c->by);
    assert_int_equal(ftruncate(fd, MAX(c->size, 64 * MIB)), 0);
    assert_true(table_write(&table, &io, (uint64_t)c->size, &error));
    assert_int_equal(ftruncate(fd, c->size), 0);
    close(fd);
    numbers = shell(NUMBERS, disk);
    if (strcmp(numbers, c->after) != 0)
        fail_msg("%s: got %s instead of %s", c->before, numbers, c->after);
    new = shell(REST, disk);
    assert_string_equal(new, old);
    told = shell("LC_ALL=C sfdisk --verify \"$0\" 2>&1", disk);
    if (strstr(told, "No errors detected") == NULL)
        fail_msg("%s: sfdisk says: %s", c->before, told);
    if (table.is_gpt) {
        g_autofree char *verdict = shell("sgdisk -v \"$0\"", disk);

        assert_non_null(strstr(verdict, "No problems found"));
    }
}

static void
a_partition_follows_the_disk_and_everything_else_stays(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        check(&CASES[i]);
}

static void
what_cannot_be_done_is_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *before;
        int number;
        off_t size;
        const char *words;
    } BAD[] = {
        {"label: dos\nstart=2048\n", 2, 128 * MIB, "no partition 2"},
        {"label: dos\nstart=2048\n", 1, MIB / 2, "does not fit"},
        {"label: dos\n1:start=2048,size=2048\n2:start=8192,type=5\n", 2, 128 * MIB, "no partition 2"},
        {GPT_HEAD "start=2048" GPT_ROOT, 1, MIB, "does not fit"},
    };
    g_autofree char *disk = g_build_filename(dir, "disk", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_auto(Table) table = {0};
        g_autoptr(GError) error = NULL;
        int64_t by;
        int fd;

        g_setenv("SCRIPT", BAD[i].before, true);
        g_free(
            shell("rm -f \"$0\"; truncate -s 64M \"$0\"; printf '%s' \"$SCRIPT\" | sfdisk -q \"$0\"", disk));
        fd = open(disk, O_RDWR | O_CLOEXEC);
        const TableIo io = {read_file, write_file, &fd, "disk"};

        assert_true(table_read(&io, &table, &error));
        assert_false(table_shift(&table, "disk", BAD[i].number, (uint64_t)BAD[i].size, &by, &error));
        if (strstr(error->message, BAD[i].words) == NULL)
            fail_msg("%s: '%s' lacks '%s'", BAD[i].before, error->message, BAD[i].words);
        close(fd);
    }
}

static void
a_damaged_table_is_no_table(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *script, *damage, *words;
    } BAD[] = {
        {"label: dos\nstart=2048\n", "dd if=/dev/zero of=\"$0\" bs=512 count=1 conv=notrunc",
         "no partition table"},
        {GPT_HEAD "start=2048" GPT_ROOT, "printf x | dd of=\"$0\" bs=1 seek=540 conv=notrunc", "damaged"},
        {GPT_HEAD "start=2048" GPT_ROOT, "printf x | dd of=\"$0\" bs=1 seek=1030 conv=notrunc", "damaged"},
        {"label: dos\n2:start=4096,type=5\n5:start=6144\n",
         "printf '\\0\\0' | dd of=\"$0\" bs=1 seek=$((4096 * 512 + 510)) conv=notrunc", "chain"},
    };
    g_autofree char *disk = g_build_filename(dir, "disk", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_auto(Table) table = {0};
        g_autoptr(GError) error = NULL;
        int fd;

        g_setenv("SCRIPT", BAD[i].script, true);
        g_free(
            shell("rm -f \"$0\"; truncate -s 64M \"$0\"; printf '%s' \"$SCRIPT\" | sfdisk -q \"$0\"", disk));
        g_free(shell(BAD[i].damage, disk));
        fd = open(disk, O_RDWR | O_CLOEXEC);
        const TableIo io = {read_file, write_file, &fd, "disk"};

        assert_false(table_read(&io, &table, &error));
        if (strstr(error->message, BAD[i].words) == NULL)
            fail_msg("case %zu: '%s' lacks '%s'", i, error->message, BAD[i].words);
        close(fd);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_partition_follows_the_disk_and_everything_else_stays, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(what_cannot_be_done_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_damaged_table_is_no_table, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
