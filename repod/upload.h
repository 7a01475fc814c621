// SPDX-License-Identifier: Apache-2.0
/*
 * Uploads of blobs under the name of their content; private to repod/. PUT sends a whole one, HEAD tells how much of it is
 * there, PATCH goes on, DELETE gives up: the semantics of draft-ietf-httpbis-resumable-upload, with the final name as
 * the name of the upload.
 */
#pragma once

#include "repod/access.h"
#include "repod/route.h"

#define UPLOAD_TYPE "application/partial-upload"          /* of a PATCH, in the draft */
#define UPLOAD_TYPE_TUS "application/offset+octet-stream" /* and in tus 1.0 */
#define UPLOAD_KEEP_SECONDS (24 * 60 * 60)                /* unfinished ones that nobody goes on with */

/** UploadPlan: what a request means; pure. */
typedef struct {
    uint64_t offset; /* where its body begins */
    bool has_total;
    uint64_t total; /* bytes of the whole blob */
    bool is_last;   /* the blob is complete with this body */
    bool is_unsure; /* if @total is reached with it */
} UploadPlan;

/**
 * upload_plan: of a PUT or PATCH. @max: bytes that a blob may have
 * Returns: 0, or the status of the refusal: 400, 413, 415
 */
int upload_plan(const HttpRequest *request, uint64_t max, UploadPlan *out_plan);

/**
 * upload_begin: a PUT, PATCH or DELETE of facts->path, which is that of a blob, or a HEAD of one that is not there. Access was
 * granted to @grant.
 */
void upload_begin(const RouteFacts *facts, const AccessGrant *grant, const HttpRequest *request, Reply *reply,
                  Exchange *out_exchange);
