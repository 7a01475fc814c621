// SPDX-License-Identifier: Apache-2.0
/*
 * A repository as its publisher has it: the store, who it is, and the key that signs it, which lives in a
 * GnuPG home named after the repository's id among this host's keys, never in the repository.
 */
#pragma once

#include "index/index.h"
#include "sign/sign.h"
#include "store/store.h"

#define PUBLISH_MAX_VALID_DAYS                                                                               \
    3650u                      /* an OpenPGP signature's expiry has 32 bits of seconds; ten years is plenty */
#define PUBLISH_VALID_DAYS 14u /* DESIGN: the only freshness check that unmodified clients enforce */

typedef struct {
    Store *store;
    char *repo_id; /* UUID */
    char *fingerprint;
    char *key_home;
    unsigned key_number; /* of the primary key that signs: 1, and one more for each that replaced it */
} PublishRepo;
void publish_repo_free(PublishRepo *repo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PublishRepo, publish_repo_free)

/** publish_repo_open: the repository at @location, whose signing key must be on this host. */
PublishRepo *publish_repo_open(const char *location, GError **error);

/** publish_repo_open_reader: the same without the signing key: to look at it, not to publish. */
PublishRepo *publish_repo_open_reader(const char *location, GError **error);

/**
 * publish_repo_create: a new repository with a new key, locked, without any generation yet:
 * publish_repo_write() with an empty index completes it. Takes up what a killed run began.
 */
PublishRepo *publish_repo_create(const char *location, SignKeyKind kind, const char *user_id,
                                 const SignSecret *secret, GError **error);

/** publish_repo_key_home: (transfer full) the home of primary key @number, which may not be there. */
char *publish_repo_key_home(const PublishRepo *repo, unsigned number);

/**
 * publish_repo_next_key: (transfer full) the fingerprint of the primary key that was made to come after the present
 * one; NULL with BASE_ERROR_NOT_FOUND where there is none.
 */
char *publish_repo_next_key(const PublishRepo *repo, GError **error);

/** publish_repo_use_next_key: sign with it from now on. The lock must be held. */
bool publish_repo_use_next_key(PublishRepo *repo, GError **error);

/** publish_repo_valid_days: for how long @index was signed the last time. */
unsigned publish_repo_valid_days(const Index *index);

/**
 * publish_repo_read: the current index, which must be what this host's key signed for this repository, not
 * older than what was published last from here, and free of problems: it is about to be signed again. That
 * its signature has expired meanwhile is no error. Errors: BASE_ERROR_UNTRUSTED
 */
Index *publish_repo_read(PublishRepo *repo, GError **error);

/** publish_repo_read_version: the same for an older version that is kept. Errors: BASE_ERROR_NOT_FOUND too */
Index *publish_repo_read_version(PublishRepo *repo, uint64_t version, GError **error);

/**
 * publish_repo_write: sign @index as the next version, valid from now for @valid_days, verify the result as a
 * client would, and switch to it, together with keys.asc and the repository's trust. The store's lock must be
 * held. @index's id, version and dates are set.
 */
bool publish_repo_write(PublishRepo *repo, Index *index, unsigned valid_days, GError **error);

/**
 * publish_repo_write_keys: the same texts as before as a further version, but with the present keys.asc: for a key
 * that is revoked and can sign no index any more. The lock must be held.
 */
bool publish_repo_write_keys(PublishRepo *repo, GError **error);
