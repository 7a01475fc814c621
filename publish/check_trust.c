// SPDX-License-Identifier: Apache-2.0
/* The published chain of trust, as a client would walk it from its first version to the last. */
#include "publish/check_trust.h"

#define EXPIRY_WARNING_SECONDS                                                                               \
    (30 * 24 * 60 * 60) /* root keys are offline: bringing them together takes a while */
#define NAME "trust"

/* read_texts: false without a finding where the repository has no trust. */
static bool
read_texts(const PublishRepo *repo, uint64_t version, StoreText *trust, StoreText *signatures,
           GPtrArray *findings)
{
    g_autoptr(GError) error = NULL;

    if (!store_read_generation(repo->store, version, trust, 1, SIGN_TRUST_MAX_BYTES, &error)) {
        if (!g_error_matches(error, BASE_ERROR, BASE_ERROR_NOT_FOUND))
            finding_add(findings, FINDING_ERROR, NAME, 0, "%s", error->message);
        return false;
    }
    if (!store_read_generation(repo->store, version, signatures, 1, SIGN_TRUST_MAX_BYTES, &error)) {
        finding_add(findings, FINDING_ERROR, "trust.sig", 0, "%s", error->message);
        return false;
    }
    return true;
}

static void
check_last(const PublishRepo *repo, const SignTrust *last, GPtrArray *findings)
{
    const int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    const SignIndexKey *key = sign_trust_index_key(last, repo->fingerprint);

    if (last->expires <= now)
        finding_add(findings, FINDING_ERROR, NAME, 0,
                    "has expired: clients that pinned the root keys refuse everything; 'virt-depot trust "
                    "draft' begins "
                    "the next version");
    else if (last->expires <= now + EXPIRY_WARNING_SECONDS)
        finding_add(findings, FINDING_WARNING, NAME, 0,
                    "expires within 30 days; 'virt-depot trust draft' begins the next "
                    "version");
    if (key == NULL || (key->not_after != 0 && key->not_after <= now))
        finding_add(findings, FINDING_ERROR, NAME, 0, "does not let key %s sign the index any more",
                    repo->fingerprint);
    if (g_strcmp0(last->repo_id, repo->repo_id) != 0)
        finding_add(findings, FINDING_ERROR, NAME, 0, "is of repository %s, not of %s", last->repo_id,
                    repo->repo_id);
}

void
check_trust(const PublishRepo *repo, uint64_t version, GBytes *keys, GPtrArray *findings)
{
    g_auto(StoreText) trust = {"trust", NULL}, signatures = {"trust.sig", NULL};
    g_autoptr(GPtrArray) chain = NULL, blocks = NULL;
    g_autoptr(GError) error = NULL;

    if (!read_texts(repo, version, &trust, &signatures, findings))
        return;
    chain = sign_trust_parse(trust.content, NAME, &error);
    if (chain != NULL)
        blocks = sign_trust_parse_signatures(signatures.content, "trust.sig", &error);
    for (guint i = 0; blocks != NULL && error == NULL && i < chain->len; i++)
        sign_trust_check(g_ptr_array_index(chain, i), i > 0 ? g_ptr_array_index(chain, i - 1) : NULL, blocks,
                         keys, NAME, &error);
    if (error != NULL)
        finding_add(findings, FINDING_ERROR, NAME, 0, "%s", error->message);
    else
        check_last(repo, g_ptr_array_index(chain, chain->len - 1), findings);
}
