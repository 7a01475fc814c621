// SPDX-License-Identifier: Apache-2.0
/* A repository to a server: what the server lacks, then the signed texts as one compare-and-swap. */
#pragma once

#include "net/net.h"
#include "publish/repo.h"

typedef struct {
    GPtrArray *files;   /* (element-type StoreBlob) that the present version needs */
    GPtrArray *missing; /* (element-type StoreBlob) those that the server has not all of; borrowed */
    uint64_t bytes;     /* of them */
    uint64_t version;   /* to be published */
    uint64_t there;     /* version on the server; 0: none */
    char *etag;         /* of its index; NULL: none */
    bool is_same;       /* the server has this very version already */
    GBytes *message;    /* all signed texts */
} PublishPush;
void publish_push_clear(PublishPush *push);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishPush, publish_push_clear)

/**
 * publish_push_plan: read and verify @repo's present version, and ask the server at @url (ending in a slash) what it lacks.
 * Errors: BASE_ERROR_EXISTS where the server has a newer version, or another one of the same number
 */
bool publish_push_plan(PublishRepo *repo, NetClient *client, const char *url, PublishPush *out_push,
                       GError **error);

/** publish_push_files: send what is missing; what arrived stays there for the next try. */
bool publish_push_files(PublishRepo *repo, NetClient *client, const char *url, const PublishPush *push,
                        GError **error);

/**
 * publish_push_index: have the server switch. Nothing is changed on failure.
 * Errors: BASE_ERROR_EXISTS where somebody else has published since publish_push_plan()
 */
bool publish_push_index(NetClient *client, const char *url, const PublishPush *push, GError **error);
