// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes from a URL: http, https, and file:/// or an absolute path. What they mean and whether they may be
 * believed is for the caller; here they are capped, resumed and retried. Nothing that came with an error
 * status is ever handed on, a redirect from https to http is refused, and compressed transfers are neither
 * asked for nor taken.
 */
#pragma once

#include "base/error.h"
#include "base/progress.h"

#include <stdint.h>

/** NetAccess: how to reach one source, beyond its URL. All NULL: as the environment says. */
typedef struct {
    char *proxy; /* NULL: http_proxy and its like; "": none; else a URL that net_proxy_check() takes */
    char *
        ca_file; /* PEM: the only authorities that a server's certificate may come from; NULL: the system's */
    /* PEM: who we are over TLS, for the origin alone; then no redirect is followed, as curl would show it there too. Both or
     * none. */
    char *cert_file, *key_file;
    char *credential; /* "USER:PASSWORD" or "bearer TOKEN"; NULL: ~/.netrc */
    char *
        origin; /* a URL: the credential goes to its scheme, host and port alone, and never after a redirect to
                       * another */
} NetAccess;
void net_access_clear(NetAccess *access);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NetAccess, net_access_clear)

/** NetLimits: patience. net_limits_init() gives the defaults; tests shorten them. */
typedef struct {
    unsigned connect_seconds; /* 20 */
    unsigned
        stall_seconds; /* 30: give up on a transfer below 1000 B/s for that long; VIRT_DEPOT_STALL_SECONDS */
    unsigned retry_ms; /* 1000: pause before the first retry, doubled each time; VIRT_DEPOT_RETRY_MS */
    unsigned max_failures; /* 5 transient failures in a row without a byte of progress */
    uint64_t
        max_rate; /* 0: bytes per second of all requests together that have a rate; 0 for as fast as it goes */
    const NetAccess *access; /* (nullable) borrowed */
} NetLimits;

/** net_limits_init: the defaults, after the two environment variables. */
void net_limits_init(NetLimits *limits);

/** NetUsage: what this process has asked servers for since it began. Local files do not count. */
typedef struct {
    uint64_t requests; /* repeated ones count, and those that were answered with "not modified" or an error */
    uint64_t bytes;    /* of bodies */
} NetUsage;

/** net_usage: from any thread. */
NetUsage net_usage(void);

typedef struct {
    GBytes *body; /* NULL: not modified since @etag */
    char *etag;   /* NULL: the server sent none, or it was weak */
} NetReply;
void net_reply_clear(NetReply *reply);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NetReply, net_reply_clear)

/**
 * net_get: a small file into memory.
 * @max_bytes: more than this is an error, whatever the server announces
 * @etag: (nullable) from an earlier reply: ask for the file only if it has changed since
 * Errors: BASE_ERROR_NOT_FOUND for 404 and 410; _UNAVAILABLE where the server could not be reached or kept
 * failing; _INTERRUPTED; _FAILED for every other refusal. The message starts with the URL.
 */
bool net_get(const char *url, size_t max_bytes, const char *etag, const NetLimits *limits,
             NetReply *out_reply, GError **error);

typedef struct {
    const char *url;
    int fd;             /* written with pwrite(); truncated to 0 where the server forces a new start */
    uint64_t offset;    /* how many bytes of the file are there already */
    uint64_t size;      /* of the whole file, exactly; 0: not known */
    uint64_t max_size;  /* the cap where @size is 0 */
    Progress *progress; /* (nullable) */
    Progress *total;    /* (nullable) of several downloads together: gets what arrives here */
} NetDownload;

/**
 * net_download: a large file into @download->fd, from the offset on, with as many resumed requests as it
 * takes. What arrived stays in the file on failure, so that a later call can go on from its end. Errors: as
 * net_get(), and BASE_ERROR_UNTRUSTED where the server's file has another size
 */
bool net_download(const NetDownload *download, const NetLimits *limits, GError **error);

/* ---- pieces of one large file or a few, over several connections, from several servers ---- */

#define NET_RANGES_CONNECTIONS 4u
#define NET_RANGES_MAX_CONNECTIONS 8u
#define NET_RANGES_REQUEST_BYTES (4u << 20) /* pieces in a row are asked for together up to this size */

/** NetPiece: bytes of the file that are judged as one by whoever wants them. */
typedef struct {
    unsigned file;
    uint64_t offset;
    uint32_t size;   /* the caller has checked it: so much memory is taken for it */
    unsigned number; /* the caller's own */
    unsigned mirror; /* that @data came from */
    uint8_t *data;   /* owned by whoever got the piece */
} NetPiece;

/**
 * NetRanges: fetches pieces, in the order in which they are wanted, from the first mirror; from the next once that one
 * cannot be reached, stalls, breaks off, or sent wrong bytes. A mirror that gave a senseless answer or wrong bytes twice, or refuses, is not
 * asked again for this file. Only answers that state exactly the range asked for count. No thread of its own: everything
 * happens within net_ranges_wait(), and only what is wanted is held in memory: want less to slow it down.
 */
typedef struct NetRanges NetRanges;

/**
 * net_ranges_new:
 * @urls: NULL-terminated; the file on each mirror, best first: as net_get() takes them
 * @size: of the file, exactly
 * @limits: borrowed
 * @warnings: (element-type utf8) (nullable): gets a line for each mirror that is given up and each wrong piece
 */
NetRanges *net_ranges_new(const char *const *urls, uint64_t size, unsigned connections,
                          const NetLimits *limits, GPtrArray *warnings);
void net_ranges_free(NetRanges *ranges);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetRanges, net_ranges_free)

/**
 * net_ranges_add: another file, of which pieces are fetched over the same connections; before the first net_ranges_wait().
 * Returns: its number; the one of net_ranges_new() has number 0
 */
unsigned net_ranges_add(NetRanges *ranges, const char *const *urls, uint64_t size);

/** net_ranges_want: fetch this piece too; pieces that follow one another without a gap share requests. */
void net_ranges_want(NetRanges *ranges, unsigned file, unsigned number, uint64_t offset, uint32_t size);

/**
 * net_ranges_wait: until a piece is there, or net_ranges_wake() was called: then @out_piece->data is NULL.
 * Errors: no mirror is left: what the first one said; BASE_ERROR_UNTRUSTED where its file is another one; _INTERRUPTED
 */
bool net_ranges_wait(NetRanges *ranges, NetPiece *out_piece, GError **error);

/** net_ranges_wake: end a net_ranges_wait(), now or the next one; from any thread. */
void net_ranges_wake(NetRanges *ranges);

/** net_ranges_reject: a piece that net_ranges_wait() gave has wrong bytes: fetch it again. Takes @piece->data. */
void net_ranges_reject(NetRanges *ranges, NetPiece *piece);

/** net_ranges_is_lost: whether no mirror of that file is left. */
bool net_ranges_is_lost(const NetRanges *ranges, unsigned file);

/**
 * net_ranges_rate: bytes per second that come while something is asked for, of late; 0: too few came as yet to tell, or they
 * are this host's.
 */
uint64_t net_ranges_rate(const NetRanges *ranges);

/** net_ranges_is_whole_only: after a failure: of file 0 a server was there that gives the file as a whole, but no ranges of it. */
bool net_ranges_is_whole_only(const NetRanges *ranges);

/** NetClient: sends requests one after the other, over one connection where that is possible. */
typedef struct NetClient NetClient;

/** net_client_new: @limits is borrowed. */
NetClient *net_client_new(const NetLimits *limits);
void net_client_free(NetClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetClient, net_client_free)
const NetLimits *net_client_limits(const NetClient *client);

/** NetSend: one request. Borrowed. */
typedef struct {
    const char *method, *url;
    const char *const *headers; /* NULL-terminated "Name: value"; NULL: none */
    bool has_body;
    int fd; /* the body: @size bytes of it from @offset */
    uint64_t offset, size;
    Progress *progress; /* (nullable) set to @progress_base and what was sent */
    uint64_t progress_base;
} NetSend;

/** NetAnswer: whatever the server says is an answer. */
typedef struct {
    int status;
    char *etag; /* NULL: none */
    char *text; /* its first line, fit for a terminal */
    bool has_offset;
    uint64_t offset; /* Upload-Offset */
} NetAnswer;
void net_answer_clear(NetAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NetAnswer, net_answer_clear)

/** net_client_send: one request; no redirect is followed. Errors: BASE_ERROR_UNAVAILABLE where there was no answer. */
bool net_client_send(NetClient *client, const NetSend *send, NetAnswer *out_answer, GError **error);

/** net_client_pause: before one more try after @failures in a row, as long as the server asks. */
void net_client_pause(NetClient *client, unsigned failures);

/** net_answer_error: set @error to what @answer says: NOT_FOUND, UNAVAILABLE for what may pass, else FAILED. */
bool net_answer_error(const NetAnswer *answer, const char *url, GError **error);

/** NetUpload: a file for a server with resumable uploads (draft-ietf-httpbis-resumable-upload). Borrowed. */
typedef struct {
    const char *url; /* of the file itself */
    int fd;
    uint64_t size;
    Progress *progress; /* (nullable) */
    uint64_t progress_base;
} NetUpload;

/**
 * net_upload: send what the server has not yet, with as many requests as it takes; that it has all is success.
 * Errors: as net_client_send(), and what the server says
 */
bool net_upload(NetClient *client, const NetUpload *upload, GError **error);

/** net_url_check: whether @url is something that net_get() takes, without credentials. BASE_ERROR_USAGE if
 * not. */
bool net_url_check(const char *url, GError **error);

/** net_proxy_check: whether @url is an http, https, socks5 or socks5h proxy without credentials. BASE_ERROR_USAGE if
 * not. */
bool net_proxy_check(const char *url, GError **error);

/** net_url_is_same_origin: whether scheme, host and port of two http(s) URLs are the same. */
bool net_url_is_same_origin(const char *a, const char *b);

/**
 * net_url_join: (transfer full) @relative (a path as index_entry_validate() accepts it) below the folder of
 * @base: up to and including its last '/'. Bytes that cannot stand in a URL are escaped.
 */
char *net_url_join(const char *base, const char *relative);
