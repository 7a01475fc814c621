// SPDX-License-Identifier: Apache-2.0
/* Fetching trust, trust.sig and keys.asc, and deciding what of them is believed. */
#include "fetch/trust_refresh.h"

#include "base/digest.h"
#include "fetch/texts.h"
#include "net/net.h"

#include <string.h>

/* News: what the server says. */
typedef struct {
    GBytes *trust, *signatures, *keys; /* NULL: unchanged, or not there */
    char *trust_etag, *keys_etag, *keys_digest;
} News;

static void
news_clear(News *news)
{
    g_clear_pointer(&news->trust, g_bytes_unref);
    g_clear_pointer(&news->signatures, g_bytes_unref);
    g_clear_pointer(&news->keys, g_bytes_unref);
    g_clear_pointer(&news->trust_etag, g_free);
    g_clear_pointer(&news->keys_etag, g_free);
    g_clear_pointer(&news->keys_digest, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(News, news_clear)

static bool
is_code(const GError *error, BaseError code)
{
    return g_error_matches(error, BASE_ERROR, (gint)code);
}

static char *
digest_of(GBytes *bytes)
{
    return digest_bytes(DIGEST_SHA512, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

/* fetch_keys: a server that has no keys.asc, or a useless one, still has an index. */
static bool
fetch_keys(const Source *at, const char *etag, const TrustState *state, News *news, GPtrArray *warnings,
           GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!texts_fetch_file(at, "keys.asc", SIGN_MAX_KEYS, etag, &news->keys, &news->keys_etag, &problem)) {
        if (is_code(problem, BASE_ERROR_UNAVAILABLE) || is_code(problem, BASE_ERROR_INTERRUPTED)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        if (!is_code(problem, BASE_ERROR_NOT_FOUND))
            g_ptr_array_add(warnings, g_strdup_printf("source '%s': its keys are not read: %s", at->name,
                                                      problem->message));
        return true;
    }
    news->keys_digest = news->keys != NULL ? digest_of(news->keys) : NULL;
    /* The same as last time, from a server without tags or a mirror. A new trust may name keys that it held already
     * and that were left out then. */
    if (news->keys != NULL && news->trust == NULL && g_strcmp0(news->keys_digest, state->keys_digest) == 0)
        g_clear_pointer(&news->keys, g_bytes_unref);
    return true;
}

static bool
fetch_trust(const Source *at, const char *etag, const TrustState *state, News *news, GPtrArray *warnings,
            GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!texts_fetch_file(at, "trust", SIGN_TRUST_MAX_BYTES, etag, &news->trust, &news->trust_etag,
                          &problem)) {
        if (!is_code(problem, BASE_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        if (state->chain == NULL)
            return error_set_code(error, BASE_ERROR_UNTRUSTED,
                                  "%s: has no trust that root keys have signed; pin its signing key with "
                                  "--fingerprint instead",
                                  at->uri);
        g_ptr_array_add(warnings,
                        g_strdup_printf("source '%s': %s: its trust is gone from the server; the last one "
                                        "is used while it is valid",
                                        at->name, at->uri));
        return true;
    }
    if (news->trust != NULL && state->trust != NULL && g_bytes_equal(news->trust, state->trust))
        g_clear_pointer(&news->trust, g_bytes_unref);
    return news->trust == NULL ||
           texts_fetch_file(at, "trust.sig", SIGN_TRUST_MAX_BYTES, NULL, &news->signatures, NULL, error);
}

static bool
fetch_news(const Source *at, const TrustState *state, bool is_anew, News *news, GPtrArray *warnings,
           GError **error)
{
    bool is_known = !is_anew && g_strcmp0(state->uri, at->uri) == 0;

    if (*at->roots != NULL && !fetch_trust(at, is_known && state->trust != NULL ? state->trust_etag : NULL,
                                           state, news, warnings, error))
        return false;
    return fetch_keys(at, is_known && news->trust == NULL && state->keys != NULL ? state->keys_etag : NULL,
                      state, news, warnings, error);
}

/* add_named: the roots from version @from on, who sign the versions after it, and who may sign the index at the end.
 * Index keys that were dropped are not carried along: what their thieves made of them must not get in the way. */
static void
add_named(GPtrArray *names, const GPtrArray *chain, uint64_t from)
{
    const SignTrust *last = g_ptr_array_index(chain, chain->len - 1);

    for (guint i = (guint)from - 1; i < chain->len; i++) {
        const SignTrust *trust = g_ptr_array_index(chain, i);

        for (char **root = trust->roots; *root != NULL; root++)
            g_ptr_array_add(names, g_strdup(*root));
    }
    for (guint i = 0; i < last->index_keys->len; i++)
        g_ptr_array_add(names,
                        g_strdup(((SignIndexKey *)g_ptr_array_index(last->index_keys, i))->fingerprint));
}

/* wanted_keys: (transfer full) whose public keys matter: those of pins, or of those whom @chain (nullable) names. */
static GPtrArray *
wanted_keys(const Source *source, const TrustState *state, const GPtrArray *chain, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free), known = NULL;
    const SignTrust *accepted = trust_state_last(state);

    if (*source->roots != NULL) {
        for (char **root = source->roots; *root != NULL; root++)
            g_ptr_array_add(names, g_strdup(*root));
        if (chain != NULL)
            add_named(names, chain, accepted != NULL ? accepted->version : chain->len);
    } else {
        /* Not the pins themselves: one may be a subkey's. */
        known = sign_list_keys(source->keys, error);
        if (known == NULL)
            return NULL;
        for (guint i = 0; i < known->len; i++)
            g_ptr_array_add(names, g_strdup(sign_key_primary(g_ptr_array_index(known, i))->fingerprint));
    }
    g_ptr_array_add(names, NULL);
    return g_steal_pointer(&names);
}

/* merge_keys: (transfer full) what is known and what the server says, of those who matter. */
static GBytes *
merge_keys(const Source *source, const TrustState *state, const News *news, const GPtrArray *chain,
           GError **error)
{
    g_autoptr(GPtrArray) blocks = g_ptr_array_new(), names = wanted_keys(source, state, chain, error);
    g_autoptr(GBytes) merged = NULL;

    if (names == NULL)
        return NULL;
    if (source->keys != NULL)
        g_ptr_array_add(blocks, source->keys);
    if (state->keys != NULL)
        g_ptr_array_add(blocks, state->keys);
    if (news->keys != NULL)
        g_ptr_array_add(blocks, news->keys);
    merged = sign_merge_keys(blocks, (const char *const *)names->pdata, error);
    if (merged != NULL && g_bytes_get_size(merged) > SIGN_MAX_KEYS) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "the public keys together are larger than %u bytes",
                       SIGN_MAX_KEYS);
        return NULL;
    }
    return g_steal_pointer(&merged);
}

/* adopt_trust: *out_chain is the new one, or NULL where the server's is only an older copy. */
static bool
adopt_trust(const Source *at, const TrustState *state, const News *news, GPtrArray **out_chain,
            GBytes **out_keys, GPtrArray *warnings, GError **error)
{
    g_autoptr(GPtrArray) chain = sign_trust_parse(news->trust, at->uri, error), signatures = NULL;
    g_autoptr(GBytes) keys = NULL;
    const SignTrust *last = trust_state_last(state);

    if (chain == NULL)
        return false;
    if (last != NULL && chain->len < last->version) {
        g_ptr_array_add(warnings,
                        g_strdup_printf("source '%s': %s: its trust is an older version than the one that "
                                        "was accepted, which goes on to count",
                                        at->name, at->uri));
        return true;
    }
    signatures = sign_trust_parse_signatures(news->signatures, at->uri, error);
    keys = signatures != NULL ? merge_keys(at, state, news, chain, error) : NULL;
    if (keys == NULL || sign_trust_adopt(chain, signatures, keys, last, (const char *const *)at->roots,
                                         at->threshold, at->uri, error) == NULL)
        return false;
    *out_chain = g_steal_pointer(&chain);
    *out_keys = g_steal_pointer(&keys);
    return true;
}

static void
replace(char **text, char **by)
{
    g_free(*text);
    *text = g_steal_pointer(by);
}

/* take_over: @news into @state. *out_is_new: @state should be written, if only for its tags. */
static bool
take_over(const Source *at, TrustState *state, News *news, bool *out_changed, bool *out_is_new,
          GPtrArray *warnings, GError **error)
{
    g_autoptr(GPtrArray) chain = NULL;
    g_autoptr(GBytes) keys = NULL;
    g_autoptr(GError) problem = NULL;

    if (news->trust != NULL && !adopt_trust(at, state, news, &chain, &keys, warnings, error))
        return false;
    if (keys == NULL && news->keys != NULL) {
        keys = merge_keys(at, state, news, state->chain, &problem);
        if (keys == NULL) /* rubbish in keys.asc takes nothing away */
            g_ptr_array_add(warnings, g_strdup_printf("source '%s': its keys are not read: %s", at->name,
                                                      problem->message));
    }
    *out_changed =
        chain != NULL || (keys != NULL && (state->keys == NULL || !g_bytes_equal(keys, state->keys)));
    *out_is_new = chain != NULL || keys != NULL;
    if (*out_is_new && g_strcmp0(state->uri, at->uri) != 0) { /* one server's tags mean nothing to another */
        g_clear_pointer(&state->trust_etag, g_free);
        g_clear_pointer(&state->keys_etag, g_free);
        g_free(state->uri);
        state->uri = g_strdup(at->uri);
    }
    if (chain != NULL) {
        g_clear_pointer(&state->chain, g_ptr_array_unref);
        g_clear_pointer(&state->trust, g_bytes_unref);
        state->chain = g_steal_pointer(&chain);
        state->trust = g_steal_pointer(&news->trust);
        replace(&state->trust_etag, &news->trust_etag);
    }
    if (keys != NULL) {
        g_clear_pointer(&state->keys, g_bytes_unref);
        state->keys = g_steal_pointer(&keys);
        if (news->keys_digest != NULL) {
            replace(&state->keys_etag, &news->keys_etag);
            replace(&state->keys_digest, &news->keys_digest);
        }
    }
    return true;
}

bool
trust_refresh(Source *source, char *uri, GPtrArray *warnings, bool *out_changed, GError **error)
{
    Source at = source_at(source, uri);
    g_auto(TrustState) state = {0};
    bool is_done = false, is_new = false;

    *out_changed = false;
    if (source->is_unsigned || source->is_fallback || source->format != SOURCE_NATIVE ||
        !g_str_has_suffix(uri, "/index.asc")) /* else only that one file is known to exist */
        return true;
    if (!trust_state_read(source, &state, error))
        return false;
    for (int attempt = 0; attempt < 2 && !is_done; attempt++) {
        g_auto(News) news = {0};
        g_autoptr(GError) problem = NULL;

        if (!fetch_news(&at, &state, attempt > 0, &news, warnings, error))
            return false;
        is_done = take_over(&at, &state, &news, out_changed, &is_new, warnings, &problem);
        /* Files that disagree may be of two versions of the repository: once more, then. */
        if (!is_done && (attempt > 0 || !is_code(problem, BASE_ERROR_UNTRUSTED))) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
    }
    return trust_state_apply(source, &state, error) && (!is_new || trust_state_write(source, &state, error));
}
