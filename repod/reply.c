// SPDX-License-Identifier: Apache-2.0
/* Opens the file of a request and sends head and body. What the head says comes from fstat() of the descriptor that
 * is sent, so a publisher that replaces the file meanwhile cannot make a mix of two. */
#include "repod/reply.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define WINDOW_BYTES (1024 * 1024)

static int
status_of_errno(int code)
{
    switch (code) {
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return 503;
    case EIO:
        return 500;
    default: /* not there, a loop, a link that leads outside (EXDEV) */
        return 404;
    }
}

/* Returns 0, or the status that says why not. O_NONBLOCK: opening a named pipe would block. */
static int
open_file(Reply *reply, const char *path, int root_fd, FileFacts *out_facts)
{
    g_auto(Fd) fd = -1;
    struct stat st;

    if (path[0] == '\0')
        return 404;
    fd = file_open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, NULL);
    if (fd < 0 || fstat(fd, &st) < 0)
        return status_of_errno(errno);
    if (!S_ISREG(st.st_mode))
        return 404;
    *out_facts = (FileFacts){
        .size = (uint64_t)st.st_size,
        .inode = st.st_ino,
        .mtime_seconds = st.st_mtim.tv_sec,
        .mtime_nanoseconds = st.st_mtim.tv_nsec,
    };
    reply->file = fd_steal(&fd);
    return 0;
}

static void
rewind_reply(Reply *reply)
{
    reply->file = -1;
    reply->head_sent = 0;
    reply->body_sent = 0;
}

void
reply_begin(Reply *reply, const HttpRequest *request, int root_fd, bool should_close)
{
    FileFacts facts;
    int status = request->refusal;

    rewind_reply(reply);
    if (status == 0 && request->method != HTTP_GET && request->method != HTTP_HEAD)
        status = 405;
    if (status == 0)
        status = open_file(reply, request->path, root_fd, &facts);
    if (status == 0)
        response_file(request, &facts, time(NULL), should_close, &reply->response);
    else
        response_status(request, status, time(NULL), should_close, &reply->response);
}

void
reply_begin_status(Reply *reply, int status)
{
    static const HttpRequest nothing = {.method = HTTP_OTHER};

    rewind_reply(reply);
    response_status(&nothing, status, time(NULL), true, &reply->response);
}

static ReplyProgress
progress(ssize_t n)
{
    if (n > 0 || errno == EINTR)
        return REPLY_MORE;
    return errno == EAGAIN ? REPLY_BLOCKED : REPLY_FAILED;
}

static ReplyProgress
send_head(Reply *reply, int socket_fd)
{
    const Response *response = &reply->response;
    /* With a body to follow, let the kernel put both into one packet. */
    int flags = MSG_NOSIGNAL | (response->length > 0 ? MSG_MORE : 0);
    ssize_t n =
        send(socket_fd, response->head + reply->head_sent, response->head_length - reply->head_sent, flags);

    if (n > 0)
        reply->head_sent += (size_t)n;
    return progress(n);
}

static ReplyProgress
send_body(Reply *reply, int socket_fd)
{
    const Response *response = &reply->response;
    off_t offset = (off_t)(response->offset + reply->body_sent);
    ssize_t n =
        sendfile(socket_fd, reply->file, &offset, MIN(response->length - reply->body_sent, WINDOW_BYTES));

    if (n == 0)
        return REPLY_FAILED; /* the file has become shorter: a missing end must not look like a whole answer */
    if (n > 0)
        reply->body_sent += (uint64_t)n;
    return progress(n);
}

ReplyProgress
reply_send(Reply *reply, int socket_fd)
{
    ReplyProgress result = reply->head_sent < reply->response.head_length ? send_head(reply, socket_fd)
                                                                          : send_body(reply, socket_fd);

    if (result == REPLY_MORE && reply->head_sent == reply->response.head_length &&
        reply->body_sent == reply->response.length)
        return REPLY_DONE;
    return result;
}

void
reply_clear(Reply *reply)
{
    fd_close(reply->file);
    reply->file = -1;
}
