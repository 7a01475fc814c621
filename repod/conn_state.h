// SPDX-License-Identifier: Apache-2.0
/* A connection's state, between conn.c (life, events, time limits) and conn_steps.c (what each state does); private to those
 * two. */
#pragma once

#include "repod/conn.h"
#include "repod/http_body.h"
#include "repod/reply.h"
#include "repod/route.h"

typedef enum {
    CONN_HANDSHAKE, /* of TLS */
    CONN_READING,   /* a head */
    CONN_BEGINNING, /* about to ask for the body, if there is one */
    CONN_GRANTING,  /* sending 100 (Continue) */
    CONN_RECEIVING, /* a body */
    CONN_WORKING,   /* the pool has it; no event is watched */
    CONN_SENDING,
    CONN_WARMING, /* the pool reads the next window of the file; no event is watched */
    CONN_ENDING,  /* saying that nothing more comes */
    CONN_LINGERING,
} ConnState;

typedef enum { STEP_AGAIN, STEP_WAIT_READ, STEP_WAIT_WRITE, STEP_WAIT_JOB, STEP_PAUSE, STEP_CLOSE } Step;

struct Conn {
    GList link;
    Worker *worker;
    struct event *readable;
    struct event *writable;
    struct event *pause; /* NULL until bandwidth is limited */
    LimitClient *client; /* NULL: nothing is counted */
    Transport transport;
    Peer peer;
    ConnState state;
    bool has_answered; /* any request yet */
    bool is_refused;   /* one client too many */
    char *input;       /* NULL while there is nothing in it */
    size_t input_size, input_capacity;
    int64_t deadline_us;         /* monotonic, for what is awaited from the client */
    int64_t request_deadline_us; /* for the request and its answer */
    int64_t pause_us;            /* for STEP_PAUSE */
    Runtime *runtime;            /* of the request; NULL between two */
    Exchange exchange;
    HttpBody body;
    bool has_body, must_grant; /* of the request at hand */
    bool is_complete;          /* its body is here, or there is none */
    uint64_t window_bytes; /* of the body since its deadline was set, or swallowed after the last answer */
    uint64_t turn_bytes;   /* of files, sent since others had their turn */
    size_t granted;        /* bytes of "100 Continue" that were sent */
    Reply reply;
    int queued;                    /* bytes in the kernel that the client had not taken when waiting began */
    AccessText *log_text;          /* NULL: no log */
    char peer_text[PEER_TEXT_MAX]; /* for the log; "" until it is wanted */
    RequestNote note;
    int64_t started_us;
};

/** conn_step: do what the state asks for, once. */
Step conn_step(Conn *conn);

/** conn_begin_reading: the next head. */
void conn_begin_reading(Conn *conn);

/** conn_resume: the exchange's work is done. */
void conn_resume(Conn *conn);

/** conn_begin_status: answer @status, whatever was asked, and close. */
void conn_begin_status(Conn *conn, int status);

/** conn_begin_window: of a body: at least min-body-rate has to come before its deadline. */
void conn_begin_window(Conn *conn);

/** conn_drop_input: forget the first @size bytes. An empty buffer goes, so that idle connections are small. */
void conn_drop_input(Conn *conn, size_t size);

/** conn_end_reply: log it and free what it took. */
void conn_end_reply(Conn *conn);

static inline void
conn_count(Conn *conn, Count count)
{
    counters_add(&conn->worker->shared->counters, count);
}

/* conn_config: that of the request, or the newest. */
static inline const Config *
conn_config(const Conn *conn)
{
    return (conn->runtime != NULL ? conn->runtime : conn->worker->runtime)->config;
}
