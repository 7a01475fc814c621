// SPDX-License-Identifier: Apache-2.0
/* What an upload does on the pool: look whether it may go on, write and hash a piece, make the whole durable. */
#include "repod/upload_session.h"

#include "repod/audit.h"
#include "repod/upload_room.h"
#include "repod/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* So often the kernel is told to begin writing to the disk, that the end need not wait for all of it. */
#define WRITE_BACK_BYTES ((uint64_t)8 << 20)
#define READ_BYTES ((size_t)1 << 20)

static bool
fail_internally(UploadSession *session, GError *error)
{
    fprintf(stderr, "repod: [repository %s]: %s\n", session->site->config->name, error->message);
    return upload_fail(session, 500, "the server could not store it; its log says why\n");
}

/* fail_for_errno: of a write. */
static bool
fail_for_errno(UploadSession *session, int code, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (code == ENOSPC || code == EDQUOT)
        return upload_hit(session, COUNT_LIMIT_ROOM, 507, "the server's disk is full\n");
    errno = code;
    error_set_errno(&error, "%s", name);
    return fail_internally(session, error);
}

static bool
has_blob(const UploadSession *session, Store *store)
{
    g_autofree char *path = g_strdup_printf("blobs/sha512/%.2s/%s", session->sha512, session->sha512);
    g_auto(Fd) fd = store_open_blob(store, path, NULL);
    uint64_t size;

    /* One of another size is damaged, and will be replaced. */
    return fd >= 0 && fd_size(fd, path, &size, NULL) &&
           (!session->plan.has_total || size == session->plan.total);
}

/* open_part: @upload's part and how much of it is there. */
static bool
open_part(UploadSession *session, Store *store, Upload *upload)
{
    g_autoptr(GError) error = NULL;
    struct stat status;

    if (upload->part.fd < 0 && !store_part_open(store, session->sha512, &upload->part, &error)) {
        if (g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS))
            return upload_fail(session, 409, "somebody else is uploading it\n");
        return fail_internally(session, error);
    }
    if (fstat(upload->part.fd, &status) < 0)
        return fail_for_errno(session, errno, upload->part.path);
    if (upload->offset != (uint64_t)status.st_size || upload->inode != status.st_ino)
        g_clear_pointer(&upload->digest, digest_free);
    upload->offset = (uint64_t)status.st_size;
    upload->inode = status.st_ino;
    return true;
}

/* start_over: a PUT replaces what is there. */
static bool
start_over(UploadSession *session, Upload *upload)
{
    if (ftruncate(upload->part.fd, 0) < 0)
        return fail_for_errno(session, errno, upload->part.path);
    upload->offset = upload->total = 0;
    g_clear_pointer(&upload->digest, digest_free);
    return true;
}

/* know_digest: of what is there already, which after a restart has to be read. */
static bool
know_digest(UploadSession *session, Upload *upload)
{
    g_autofree char *buffer = NULL;
    g_autoptr(Digest) digest = NULL;
    g_autoptr(GError) error = NULL;

    if (upload->digest != NULL)
        return true;
    digest = digest_new(DIGEST_SHA512);
    buffer = upload->offset > 0 ? g_malloc(READ_BYTES) : NULL;
    for (uint64_t at = 0; at < upload->offset;) {
        const size_t size = (size_t)MIN(upload->offset - at, READ_BYTES);

        if (!fd_pread_exact(upload->part.fd, buffer, size, at, upload->part.path, &error))
            return fail_internally(session, error);
        digest_update(digest, buffer, size);
        at += size;
    }
    upload->digest = g_steal_pointer(&digest);
    return true;
}

static bool
check_daily(UploadSession *session, uint64_t more)
{
    const uint64_t limit = session->grant.daily_bytes;

    if (limit == 0 || usage_today(session->shared->usage, session->runtime->config->state_dir,
                                  session->grant.token, time(NULL)) +
                              more <=
                          limit)
        return true;
    return upload_hit(session, COUNT_LIMIT_DAILY, 413,
                      "this token has uploaded its share of today; try again tomorrow\n");
}

/* check_room: of the repository, the disk and the token, before any of it is sent. */
static bool
check_room(UploadSession *session, Store *store, uint64_t there)
{
    const uint64_t more =
        session->plan.has_total ? session->plan.total - MIN(session->plan.offset, session->plan.total) : 0;
    const uint64_t missing = upload_table_missing(session->shared->uploads, session->site->config->dir);
    g_autoptr(GError) error = NULL;

    if (!upload_room(store, session->site->config->quota, missing, session->method == HTTP_PUT ? there : 0,
                     &session->room, &error))
        return fail_internally(session, error);
    if (more > session->room)
        return upload_hit(session, COUNT_LIMIT_ROOM, 507,
                          "there is no room for it: the repository's quota or the disk is full\n");
    return check_daily(session, more);
}

/* reserve: so that the disk cannot become full in the middle of it. Not every file system can. */
static bool
reserve(UploadSession *session, const Upload *upload)
{
    if (upload->total <= upload->offset ||
        fallocate(upload->part.fd, FALLOC_FL_KEEP_SIZE, (off_t)upload->offset,
                  (off_t)(upload->total - upload->offset)) == 0 ||
        (errno != ENOSPC && errno != EDQUOT))
        return true;
    return fail_for_errno(session, errno, upload->part.path);
}

static bool
check_offset(UploadSession *session, const Upload *upload)
{
    if (session->plan.offset == upload->offset)
        return true;
    session->has_part = true;
    session->part_size = upload->offset;
    return upload_fail(session, 409, "the upload has another offset\n");
}

static bool
prepare_with(UploadSession *session, Store *store, Upload *upload)
{
    if (has_blob(session, store))
        return upload_fail(session, 200, "it is there already\n");
    if (!open_part(session, store, upload) || !check_room(session, store, upload->offset) ||
        (session->method == HTTP_PUT && !start_over(session, upload)) || !check_offset(session, upload) ||
        !know_digest(session, upload))
        return false;
    if (session->plan.has_total)
        upload->total = session->plan.total;
    return reserve(session, upload);
}

static Upload *
enter(UploadSession *session)
{
    Upload *upload = upload_table_enter(session->shared->uploads, session->key, session->session);

    if (upload == NULL) {
        g_clear_pointer(&session->key, g_free);
        upload_fail(session, 409, "the upload goes on in another connection\n");
    }
    return upload;
}

/* leave: @is_over: nothing is left of the upload but perhaps its blob. */
static void
leave(UploadSession *session, bool is_over)
{
    upload_table_leave(session->shared->uploads, session->key, is_over);
    if (is_over)
        g_clear_pointer(&session->key, g_free);
}

/* drop: forget what came. */
static void
drop(UploadSession *session, Upload *upload)
{
    store_upload_clear(&upload->part);
    leave(session, true);
}

static void
prepare(UploadSession *session)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) store = store_open_target(session->site->config->dir, &error);
    Upload *upload;

    session->is_prepared = true;
    if (store == NULL) {
        fail_internally(session, error);
        return;
    }
    upload = enter(session);
    if (upload == NULL)
        return;
    if (!prepare_with(session, store, upload) && (session->status == 200 || upload->offset == 0))
        drop(session, upload); /* an empty part, or one of a blob that came otherwise */
    else
        leave(session, false);
}

static void
audit(const UploadSession *session, const char *action, uint64_t bytes, const char *result)
{
    const AuditEntry entry = {
        .token = session->grant.token,
        .peer = &session->peer,
        .repository = session->site->config->name,
        .action = action,
        .digest = session->sha512,
        .bytes = bytes,
        .result = result,
    };

    audit_write(session->runtime->audit_log, &entry);
}

/* write_piece: at the end of the part. */
static bool
write_piece(UploadSession *session, Upload *upload)
{
    const uint64_t before = upload->offset / WRITE_BACK_BYTES;
    size_t done = 0;

    usage_add(session->shared->usage, session->grant.token, session->piece_size, time(NULL));
    if (!check_daily(session, 0))
        return false;
    while (done < session->piece_size) {
        const ssize_t n = pwrite(upload->part.fd, session->piece + done, session->piece_size - done,
                                 (off_t)(upload->offset + done));

        if (n < 0 && errno != EINTR)
            return fail_for_errno(session, errno, upload->part.path);
        done += n > 0 ? (size_t)n : 0;
    }
    digest_update(upload->digest, session->piece, session->piece_size);
    upload->offset += session->piece_size;
    session->piece_size = 0;
    if (upload->offset / WRITE_BACK_BYTES > before)
        sync_file_range(upload->part.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return true;
}

/* store_piece: what was received; a disk that is full now should not stay so. */
static bool
store_piece(UploadSession *session, Upload *upload)
{
    if (write_piece(session, upload))
        return true;
    if (session->status == 507) {
        audit(session, "upload", upload->offset, "the disk is full");
        drop(session, upload);
    } else {
        leave(session, false);
    }
    return false;
}

/* keep: what came so far, for a later request. */
static void
keep(UploadSession *session, const Upload *upload)
{
    if (fdatasync(upload->part.fd) < 0) {
        fail_for_errno(session, errno, upload->part.path);
    } else {
        upload_fail(session, 201, "so far so good\n");
        session->has_part = true;
        session->part_size = upload->offset;
    }
    leave(session, false);
}

/* make_blob: the content is complete: believe it, or nothing of it. */
static void
make_blob(UploadSession *session, Upload *upload)
{
    g_autoptr(Digest) digest = g_steal_pointer(&upload->digest);
    g_autofree char *found = digest_finish(digest), *path = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) store = NULL;
    const uint64_t size = upload->offset;

    if (strcmp(found, session->sha512) != 0) {
        upload_fail(session, 422, "its sha512 is not the one in its name; nothing of it was kept\n");
        audit(session, "upload", size, "its sha512 is another one");
        drop(session, upload);
        return;
    }
    store = store_open_target(session->site->config->dir, &error);
    if (store == NULL || !store_upload_finish(store, &upload->part, session->sha512, &path, &error)) {
        fail_internally(session, error);
        leave(session, false);
        return;
    }
    upload_fail(session, 201, "stored\n");
    audit(session, "upload", size, "done");
    leave(session, true);
}

static void
finish(UploadSession *session)
{
    Upload *upload = enter(session);
    bool is_last = session->plan.is_last;

    if (upload == NULL || (session->piece_size > 0 && !store_piece(session, upload)))
        return;
    if (session->plan.is_unsure)
        is_last = upload->total > 0 && upload->offset == upload->total;
    if (is_last)
        make_blob(session, upload);
    else
        keep(session, upload);
    usage_save(session->shared->usage, session->runtime->config->state_dir, session->grant.token, time(NULL));
}

static void
cancel(UploadSession *session)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) store = store_open_target(session->site->config->dir, &error);
    Upload *upload;

    if (store == NULL) {
        fail_internally(session, error);
        return;
    }
    upload = enter(session);
    if (upload == NULL)
        return;
    if (!open_part(session, store, upload)) {
        leave(session, false);
        return;
    }
    upload_fail(session, 200, "given up\n");
    audit(session, "cancel", upload->offset, "done");
    drop(session, upload);
}

/* give_up: on what has been refused in the middle. */
static void
give_up(UploadSession *session)
{
    Upload *upload = upload_table_enter(session->shared->uploads, session->key, session->session);

    if (upload != NULL)
        drop(session, upload);
    else
        g_clear_pointer(&session->key, g_free);
}

void
upload_work(void *self)
{
    UploadSession *session = self;
    Upload *upload;

    if (session->status != 0) {
        give_up(session);
    } else if (session->method == HTTP_DELETE) {
        cancel(session);
    } else if (!session->is_prepared) {
        prepare(session);
    } else if (session->is_complete) {
        finish(session);
    } else {
        upload = enter(session);
        if (upload != NULL && store_piece(session, upload))
            leave(session, false);
    }
}
