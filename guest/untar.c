// SPDX-License-Identifier: Apache-2.0
/*
 * libarchive writes by names relative to the current folder alone, so its thread gets one of its own (CLONE_FS), and every
 * name is put below @base. Its own checks see to "..", and to symbolic links on the way.
 */
#include "guest/untar.h"

#include "base/interrupt.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)
#define SAFELY                                                                                               \
    (ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_SYMLINKS |                                     \
     ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SPARSE)

typedef struct archive Archive;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Archive, archive_free)

static bool
fail(Archive *a, const char *label, const char *name, GError **error)
{
    const char *reason = archive_error_string(a);

    return error_set(error, "%s: cannot copy out %s: %s", label, name,
                     reason != NULL ? reason : "damaged data");
}

/* (transfer full) "./a/b" below @base */
static char *
below(const char *base, const char *name)
{
    while (g_str_has_prefix(name, "./"))
        name += 2;
    return name[0] == '\0' || strcmp(name, ".") == 0 ? g_strdup(base) : g_strconcat(base, "/", name, NULL);
}

static void
put_below(struct archive_entry *entry, const char *base)
{
    const char *link = archive_entry_hardlink(entry);
    g_autofree char *name = below(base, archive_entry_pathname(entry));
    g_autofree char *target = link != NULL ? below(base, link) : NULL;

    archive_entry_copy_pathname(entry, name);
    if (target != NULL)
        archive_entry_copy_hardlink(entry, target);
}

static bool
is_special(struct archive_entry *entry)
{
    mode_t type = archive_entry_filetype(entry);

    return archive_entry_hardlink(entry) == NULL && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK;
}

static bool
copy_data(Archive *in, Archive *out, const char *label, const char *name, GError **error)
{
    const void *data;
    size_t size;
    la_int64_t offset;
    int rc;

    while ((rc = archive_read_data_block(in, &data, &size, &offset)) == ARCHIVE_OK)
        if (archive_write_data_block(out, data, size, offset) < ARCHIVE_OK)
            return fail(out, label, name, error);
    return rc == ARCHIVE_EOF || fail(in, label, name, error);
}

static bool
copy_entry(Archive *in, Archive *out, struct archive_entry *entry, const char *base, const char *label,
           UntarCounts *counts, GError **error)
{
    g_autofree char *name = NULL;

    if (archive_entry_pathname(entry) == NULL)
        return fail(in, label, base, error);
    name = g_strdup(archive_entry_pathname(entry));
    if (is_special(entry)) {
        counts->n_special++;
        return true;
    }
    put_below(entry, base);
    if (archive_write_header(out, entry) < ARCHIVE_WARN)
        return fail(out, label, name, error);
    if (archive_entry_size(entry) > 0 && !copy_data(in, out, label, name, error))
        return false;
    if (archive_write_finish_entry(out) < ARCHIVE_WARN)
        return fail(out, label, name, error);
    counts->n_entries++;
    return true;
}

static bool
copy_all(Archive *in, Archive *out, const char *base, const char *label, UntarCounts *counts, GError **error)
{
    struct archive_entry *entry;
    int rc;

    while ((rc = archive_read_next_header(in, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
        if (!interrupt_check(error) || !copy_entry(in, out, entry, base, label, counts, error))
            return false;
    if (rc != ARCHIVE_EOF)
        return fail(in, label, base, error);
    return archive_write_close(out) >= ARCHIVE_WARN || fail(out, label, base, error);
}

bool
untar_beneath(int fd, int dir_fd, const char *base, const char *label, UntarCounts *out_counts,
              GError **error)
{
    g_autoptr(Archive) in = archive_read_new();
    g_autoptr(Archive) out = archive_write_disk_new();
    UntarCounts counts = {0};

    if (unshare(CLONE_FS) < 0 || fchdir(dir_fd) < 0)
        return error_set_errno(error, "%s: cannot go to the folder", label);
    archive_read_support_format_tar(in);
    archive_write_disk_set_options(out, SAFELY);
    if (archive_read_open_fd(in, fd, READ_BYTES) != ARCHIVE_OK)
        return fail(in, label, base, error);
    if (!copy_all(in, out, base, label, &counts, error))
        return false;
    *out_counts = counts;
    return true;
}
