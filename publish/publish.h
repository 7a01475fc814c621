// SPDX-License-Identifier: Apache-2.0
/* Images in, repository out: inspect, compress, checksum, sign, switch. */
#pragma once

#include "base/cli.h"

extern const Verb PUBLISH_VERB_REPO_INIT;
extern const Verb PUBLISH_VERB_REPO_ADD;
extern const Verb PUBLISH_VERB_REPO_LIST;
extern const Verb PUBLISH_VERB_REPO_REMOVE;
extern const Verb PUBLISH_VERB_REPO_SIGN;
extern const Verb PUBLISH_VERB_REPO_CHECK;
extern const Verb PUBLISH_VERB_REPO_PRUNE;
extern const Verb PUBLISH_VERB_REPO_ROLLBACK;
extern const Verb PUBLISH_VERB_PUSH;
extern const Verb PUBLISH_VERB_KEY_CREATE;
extern const Verb PUBLISH_VERB_KEY_SHOW;
extern const Verb PUBLISH_VERB_KEY_EXPORT;
extern const Verb PUBLISH_VERB_KEY_ROTATE;
extern const Verb PUBLISH_VERB_KEY_REVOKE;
extern const Verb PUBLISH_VERB_TRUST_DRAFT;
extern const Verb PUBLISH_VERB_TRUST_SIGN;
extern const Verb PUBLISH_VERB_TRUST_PUBLISH;
