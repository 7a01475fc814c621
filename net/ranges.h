// SPDX-License-Identifier: Apache-2.0
/* What ranges.c, which decides, and range_request.c, which asks, share. */
#pragma once

#include "net/curl.h"

/* A file on a server. */
typedef struct {
    unsigned file;
    uint64_t size; /* of the file */
    char *url;
    char *path;       /* NULL: on the network */
    int fd;           /* of @path, once it is open */
    char *etag;       /* strong, of its answers so far */
    bool has_ranges;  /* it answered a range request rightly */
    bool has_changed; /* its file has another tag at times: tags are not used any more, the digests decide */
    bool is_whole_only;
    bool is_out;
    unsigned bad;      /* senseless answers and wrong pieces */
    unsigned lapses;   /* failures in all: who has fewer is asked first */
    unsigned failures; /* in a row, without progress */
    gint64 failed_us;  /* when it last failed */
    gint64 resume_us;  /* not asked before */
    GError *problem;   /* what it last did wrong */
} RangeMirror;

typedef struct {
    NetPiece piece;
    uint32_t have; /* bytes of the data that are there, all from piece.mirror */
    uint32_t best; /* the most there ever were: beyond it is progress */
    int avoid;     /* the mirror that sent it wrong, or -1 */
} RangePiece;

typedef enum {
    RANGE_FAILED,   /* the request broke: ask again */
    RANGE_OUTDATED, /* it was asked in a way that is known by now not to work: ask again, it is no failure */
    RANGE_BAD,      /* the answer makes no sense */
    RANGE_REFUSED,  /* this mirror will not do, however often it is asked */
    RANGE_WHOLE_ONLY, /* it answers with the whole file */
} RangeVerdict;

/** RangeRequest: one connection, and the request on it. */
typedef struct {
    CURL *curl;
    CURLM *multi;
    const NetLimits *limits;
    struct curl_slist *headers;
    char message[CURL_ERROR_SIZE];
    NetHead head;
    RangeMirror *mirror; /* NULL: idle */
    GQueue pieces;       /* (element-type RangePiece) not complete, without gaps */
    GQueue *complete;    /* (element-type RangePiece) where complete ones go */
    uint64_t first, at, end;
    uint64_t received; /* bytes since whoever asked set it to 0 */
    gint64 started_us;
    bool is_accepted, has_progress;
    bool has_tag;         /* the range was asked for on condition that the file still has its tag */
    RangeVerdict verdict; /* of a failure */
    GError *problem;
} RangeRequest;

void range_piece_free(RangePiece *piece);

/** range_request_init, range_request_clear: an idle connection. The pieces are left to the caller. */
void range_request_init(RangeRequest *request, CURLM *multi, const NetLimits *limits, GQueue *complete);
void range_request_clear(RangeRequest *request);

/** range_request_start: ask @mirror, whose number is @number, for request->pieces. */
void range_request_start(RangeRequest *request, RangeMirror *mirror, unsigned number);

/** range_request_finish: the transfer has ended with @code. Returns: whether all of it came; else verdict and problem are set */
bool range_request_finish(RangeRequest *request, CURLcode code);
