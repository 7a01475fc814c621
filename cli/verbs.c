// SPDX-License-Identifier: Apache-2.0
/* Every verb of virt-depot, in the order that help shows them. */
#include "cli/verbs.h"

#include "deploy/deploy.h"
#include "fetch/fetch.h"
#include "publish/publish.h"

const Verb *const CLI_VERBS[] = {
    &PUBLISH_VERB_REPO_INIT,
    &PUBLISH_VERB_REPO_ADD,
    &PUBLISH_VERB_REPO_LIST,
    &PUBLISH_VERB_REPO_REMOVE,
    &PUBLISH_VERB_REPO_SIGN,
    &PUBLISH_VERB_REPO_CHECK,
    &PUBLISH_VERB_REPO_PRUNE,
    &PUBLISH_VERB_REPO_ROLLBACK,
    &FETCH_VERB_SOURCE_ADD,
    &FETCH_VERB_SOURCE_LIST,
    &FETCH_VERB_SOURCE_REMOVE,
    &FETCH_VERB_LIST,
    &FETCH_VERB_INFO,
    &FETCH_VERB_PULL,
    &FETCH_VERB_INDEX_VALIDATE,
    &DEPLOY_VERB_DEPLOY,
    NULL,
};
