// SPDX-License-Identifier: Apache-2.0
/* What each counter is called. */
#include "repod/counters.h"

#include <stddef.h>

const CountText count_texts[N_COUNTS] = {
    [COUNT_CONNECTIONS] = {"connections", NULL, "connections accepted"},
    [COUNT_LIMIT_CONNECTIONS] = {NULL, "connections", "refused: as many connections as there may be"},
    [COUNT_LIMIT_CLIENT_CONNECTIONS] = {NULL, "client-connections", "refused: as many of one client"},
    [COUNT_LIMIT_FILES] = {NULL, "open-files", "waits and answers 503 for want of file descriptors"},
    [COUNT_LIMIT_TLS_TIME] = {NULL, "tls-timeout", "handshakes that took too long"},
    [COUNT_LIMIT_HEAD_TIME] = {NULL, "head-timeout", "request heads that took too long"},
    [COUNT_LIMIT_REQUEST_TIME] = {NULL, "request-timeout", "requests with their answers that took too long"},
    [COUNT_LIMIT_BODY_RATE] = {NULL, "min-body-rate", "uploads that were too slow"},
    [COUNT_LIMIT_WRITE_TIME] = {NULL, "write-timeout", "clients that took nothing of an answer"},
    [COUNT_LIMIT_REQUESTS] = {NULL, "client-requests", "requests answered 429"},
    [COUNT_LIMIT_BYTES] = {NULL, "client-bytes", "pauses of connections for bandwidth"},
    [COUNT_LIMIT_UPLOAD_SIZE] = {NULL, "max-upload", "files and indexes that were too large"},
    [COUNT_LIMIT_ROOM] = {NULL, "quota", "uploads for which the quota or the disk had no room"},
    [COUNT_LIMIT_DAILY] = {NULL, "daily", "uploads beyond a token's share of the day"},
    [COUNT_LIMIT_AT_ONCE] = {NULL, "uploads-at-once", "uploads and pushes beyond what goes on at a time"},
    [COUNT_LIMIT_TOKENS] = {NULL, "wrong-tokens", "requests of those who have to wait after wrong tokens"},
    [COUNT_TLS_HANDSHAKES] = {"tls_handshakes", NULL, "TLS handshakes completed"},
    [COUNT_TLS_FAILURES] = {"tls_failures", NULL, "TLS handshakes that failed"},
    [COUNT_TLS_RESUMED] = {"tls_resumed", NULL, "TLS handshakes that resumed a session"},
    [COUNT_TLS_KERNEL] = {"tls_kernel", NULL, "TLS connections that the kernel encrypts"},
    [COUNT_COLD_READS] = {"cold_reads", NULL, "windows of files read from the disk by the pool"},
    [COUNT_RELOADS] = {"reloads", NULL, "configurations taken over"},
    [COUNT_RELOAD_FAILURES] = {"reload_failures", NULL, "configurations refused"},
};
