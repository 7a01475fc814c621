// SPDX-License-Identifier: Apache-2.0
/* Every verb of virt-depot, in the order that help shows them. */
#include "cli/verbs.h"

#include "deploy/deploy.h"
#include "fetch/fetch.h"
#include "guest/guest.h"
#include "mirror/mirror.h"
#include "publish/publish.h"
#include "repod/repod.h"

/* One a line: */
/* clang-format off */
const Verb *const CLI_VERBS[] = {
    &PUBLISH_VERB_REPO_INIT,
    &PUBLISH_VERB_REPO_ADD,
    &PUBLISH_VERB_REPO_LIST,
    &PUBLISH_VERB_REPO_REMOVE,
    &PUBLISH_VERB_REPO_SIGN,
    &PUBLISH_VERB_REPO_CHECK,
    &PUBLISH_VERB_REPO_PRUNE,
    &PUBLISH_VERB_REPO_ROLLBACK,
    &PUBLISH_VERB_PUSH,
    &MIRROR_VERB_MIRROR,
    &PUBLISH_VERB_KEY_CREATE,
    &PUBLISH_VERB_KEY_SHOW,
    &PUBLISH_VERB_KEY_EXPORT,
    &PUBLISH_VERB_KEY_ROTATE,
    &PUBLISH_VERB_KEY_REVOKE,
    &PUBLISH_VERB_TRUST_DRAFT,
    &PUBLISH_VERB_TRUST_SIGN,
    &PUBLISH_VERB_TRUST_PUBLISH,
    &REPOD_VERB_TOKEN_CREATE,
    &REPOD_VERB_TOKEN_LIST,
    &REPOD_VERB_TOKEN_REVOKE,
    &FETCH_VERB_SOURCE_ADD,
    &FETCH_VERB_SOURCE_LIST,
    &FETCH_VERB_SOURCE_REMOVE,
    &FETCH_VERB_LIST,
    &FETCH_VERB_INFO,
    &FETCH_VERB_PULL,
    &FETCH_VERB_OUTDATED,
    &FETCH_VERB_UPGRADE,
    &FETCH_VERB_CACHE_LIST,
    &FETCH_VERB_CACHE_VERIFY,
    &FETCH_VERB_CACHE_PRUNE,
    &FETCH_VERB_INDEX_VALIDATE,
    &GUEST_VERB_BUILD,
    &DEPLOY_VERB_CUSTOMIZE,
    &GUEST_VERB_SEAL,
    &DEPLOY_VERB_DEPLOY,
    NULL,
};
/* clang-format on */
