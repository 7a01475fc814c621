// SPDX-License-Identifier: Apache-2.0
/*
 * One verdict a file: a line of facts, and for a clear-signed message the text that GnuPG took out of it. The file
 * is 0600 in a 0700 folder: whoever can write it can write the pins, too.
 */
#include "sign/verdict.h"

#include "base/digest.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERDICT_FORMAT "virt-depot verdict 1"
#define MAX_LINE 512u /* a SHA-512, two fingerprints and three numbers */
enum { ID, FINGERPRINT, PIN, SIGNED_AT, EXPIRES_AT, KEY_EXPIRES_AT, N_FIELDS };

/* update: with its length before it, so that no two sequences of parts look alike. */
static void
update(Digest *digest, const void *data, size_t size)
{
    uint64_t length = size;

    digest_update(digest, &length, sizeof length);
    digest_update(digest, data, size);
}

static void
update_bytes(Digest *digest, GBytes *bytes)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    update(digest, data, size);
}

char *
sign_verdict_id(GBytes *message, GBytes *text, const SignCheck *check, const char *const *pins)
{
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA512);
    uint64_t policy = check->policy, is_detached = text != NULL;

    update(digest, VERDICT_FORMAT, strlen(VERDICT_FORMAT));
    update(digest, &policy, sizeof policy);
    update(digest, &is_detached, sizeof is_detached);
    update_bytes(digest, message);
    if (text != NULL)
        update_bytes(digest, text);
    update_bytes(digest, check->keys);
    for (; *pins != NULL; pins++)
        update(digest, *pins, strlen(*pins));
    return digest_finish(digest);
}

static bool
is_ours(int fd, uint64_t *out_size)
{
    struct stat info;

    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid() ||
        (info.st_mode & 077) != 0 || info.st_size > SIGN_MAX_TEXT)
        return false;
    *out_size = (uint64_t)info.st_size;
    return true;
}

static GBytes *
read_own(const char *path)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    g_autofree char *data = NULL;
    uint64_t size;

    if (fd < 0 || !is_ours(fd, &size))
        return NULL;
    data = g_malloc(size + 1);
    if (!fd_pread_exact(fd, data, size, 0, path, NULL))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&data), size);
}

static bool
read_time(const char *text, int64_t *out_time)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
        return false;
    *out_time = (int64_t)number;
    return true;
}

static bool
is_over(int64_t expires, int64_t now)
{
    return expires != 0 && expires <= now;
}

SignVerified *
sign_verdict_lookup(const char *path, const char *id, GBytes *text, int64_t now)
{
    g_autoptr(SignVerified) verified = g_new0(SignVerified, 1);
    g_autoptr(GBytes) bytes = read_own(path);
    gsize size = 0;
    const char *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;
    const char *end = data != NULL ? memchr(data, '\n', MIN(size, MAX_LINE)) : NULL;
    g_autofree char *line = end != NULL ? g_strndup(data, (gsize)(end - data)) : g_strdup("");
    g_auto(GStrv) fields = g_strsplit(line, " ", -1);

    if (g_strv_length(fields) != N_FIELDS || strcmp(fields[ID], id) != 0 ||
        !sign_is_fingerprint(fields[FINGERPRINT]) || !sign_is_fingerprint(fields[PIN]) ||
        !read_time(fields[SIGNED_AT], &verified->signed_at) ||
        !read_time(fields[EXPIRES_AT], &verified->expires_at) ||
        !read_time(fields[KEY_EXPIRES_AT], &verified->key_expires_at))
        return NULL;
    if (verified->signed_at > now || is_over(verified->expires_at, now) ||
        is_over(verified->key_expires_at, now))
        return NULL;
    verified->fingerprint = g_strdup(fields[FINGERPRINT]);
    verified->pin = g_strdup(fields[PIN]);
    verified->text =
        text != NULL ? g_bytes_ref(text)
                     : g_bytes_new_from_bytes(bytes, (gsize)(end + 1 - data), size - (gsize)(end + 1 - data));
    return g_steal_pointer(&verified);
}

void
sign_verdict_store(const char *path, const char *id, GBytes *text, const SignVerified *verified)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(GString) file = g_string_new(NULL);

    g_string_printf(file, "%s %s %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", id,
                    verified->fingerprint, verified->pin, verified->signed_at, verified->expires_at,
                    verified->key_expires_at);
    g_assert(file->len <= MAX_LINE);
    if (text == NULL)
        g_string_append_len(file, g_bytes_get_data(verified->text, NULL),
                            (gssize)g_bytes_get_size(verified->text));
    /* A read-only home, a full disk: then gpg is asked again the next time. */
    if (file_make_dirs(folder, 0700, NULL))
        file_write_atomic(path, file->str, file->len, 0600, NULL);
}
