// SPDX-License-Identifier: Apache-2.0
/* The rules for a pushed index. Nothing of it is believed before its signature. */
#include "repod/push_check.h"

#include "repod/pins.h"

#include <string.h>
#include <time.h>

enum { INDEX, INDEX_ASC, INDEX_SIG, KEYS, TRUST, TRUST_SIG };

void
push_index_clear(PushIndex *index)
{
    g_clear_pointer(&index->repo_id, g_free);
    g_clear_pointer(&index->fingerprint, g_free);
    store_notes_clear(&index->notes);
}

/* Present: what is published now. */
typedef struct {
    Index *index; /* NULL: nothing yet */
    GBytes *keys;
    PinsChain trust;
} Present;

static void
present_clear(Present *present)
{
    g_clear_pointer(&present->index, index_free);
    g_clear_pointer(&present->keys, g_bytes_unref);
    pins_chain_clear(&present->trust);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Present, present_clear)

static bool
read_present_trust(Store *store, uint64_t version, Present *present, GError **error)
{
    StoreText texts[] = {{"trust", NULL}, {"trust.sig", NULL}};
    g_autoptr(GError) local = NULL;
    bool is_ok = store_read_generation(store, version, texts, G_N_ELEMENTS(texts), SIGN_MAX_TEXT, &local);

    if (is_ok)
        is_ok =
            pins_chain_parse(texts[0].content, texts[1].content, "the present trust", &present->trust, error);
    else if (g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        is_ok = true;
    else
        g_propagate_error(error, g_steal_pointer(&local));
    store_text_clear(&texts[0]);
    store_text_clear(&texts[1]);
    return is_ok;
}

/* read_present: it was verified when it came, and nobody but us and the publisher writes there. */
static bool
read_present(Store *store, Present *present, GError **error)
{
    StoreText texts[] = {{"index", NULL}, {"keys.asc", NULL}};
    uint64_t version;
    bool is_ok;

    if (!store_has_version(store))
        return true;
    is_ok = store_read_texts(store, texts, G_N_ELEMENTS(texts), SIGN_MAX_TEXT, &version, error);
    if (is_ok) {
        present->index = index_parse(texts[0].content, "the present index", NULL, error);
        present->keys = g_steal_pointer(&texts[1].content);
        is_ok = present->index != NULL && read_present_trust(store, version, present, error);
    }
    store_text_clear(&texts[0]);
    store_text_clear(&texts[1]);
    return is_ok;
}

/* merged_keys: what both say of the keys @fingerprints, so that a revocation cannot be left out again. */
static GBytes *
merged_keys(const Present *present, GBytes *pushed, const char *const *fingerprints, GError **error)
{
    g_autoptr(GPtrArray) blocks = g_ptr_array_new();

    if (present->keys != NULL)
        g_ptr_array_add(blocks, present->keys);
    g_ptr_array_add(blocks, pushed);
    return sign_merge_keys(blocks, fingerprints, error);
}

/*
 * adopt_trust: the pushed trust must follow from the present one. The first one ever is believed by its own root keys, since
 * the index that comes with it has to be signed by a pinned key.
 */
static const SignTrust *
adopt_trust(const Present *present, const PinsChain *pushed, GBytes *keys, GError **error)
{
    const SignTrust *first = g_ptr_array_index(pushed->chain, 0), *accepted = NULL, *last;

    if (present->trust.chain != NULL)
        accepted = pins_chain_last(&present->trust);
    last = sign_trust_adopt(pushed->chain, pushed->blocks, keys, accepted, (const char *const *)first->roots,
                            first->threshold, "trust", error);
    if (last != NULL && last->expires <= time(NULL)) {
        error_set(error, "trust: has expired");
        return NULL;
    }
    return last;
}

static GPtrArray *
new_pins(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

/*
 * add_own_pins: those of repod.conf, else the one of the repository's notes. Root keys among them stand for the keys that the
 * first trust names.
 */
static bool
add_own_pins(GPtrArray *pins, const ConfigSite *site, const StoreNotes *notes, const PinsChain *pushed,
             GBytes *keys, GError **error)
{
    uint64_t first = 0;

    for (char **pin = site->fingerprints; pin != NULL && *pin != NULL; pin++)
        g_ptr_array_add(pins, g_strdup(*pin));
    if (pins->len == 0 && notes->fingerprint != NULL)
        g_ptr_array_add(pins, g_strdup(notes->fingerprint));
    if (pushed->chain == NULL || site->fingerprints == NULL)
        return true;
    if (!pins_follow(pushed, keys, site->fingerprints, &first, error))
        return false;
    if (first > 0)
        pins_add_named(pins, pins_chain_last(pushed), time(NULL));
    return true;
}

/* find_pins: (transfer full) whose signature counts, NULL-terminated. @out_trust: (nullable) what the signer must be in. */
static GPtrArray *
find_pins(const ConfigSite *site, const Present *present, const PinsChain *pushed, const StoreText *texts,
          const StoreNotes *notes, const SignTrust **out_trust, GError **error)
{
    g_autoptr(GPtrArray) pins = new_pins();
    g_autoptr(GBytes) keys = NULL;

    *out_trust = NULL;
    if (pushed->chain != NULL) {
        keys = merged_keys(present, texts[KEYS].content, NULL, error);
        *out_trust = keys != NULL ? adopt_trust(present, pushed, keys, error) : NULL;
        if (*out_trust == NULL)
            return NULL;
    } else if (present->trust.chain != NULL) {
        error_set(error, "trust: is missing, but this repository has one");
        return NULL;
    }
    if (present->trust.chain != NULL)
        pins_add_named(pins, *out_trust, time(NULL));
    else if (!add_own_pins(pins, site, notes, pushed, keys, error))
        return NULL;
    if (pins->len == 0) {
        error_set(error, "no key may sign here yet: set 'fingerprints' of this repository in repod.conf");
        return NULL;
    }
    g_ptr_array_add(pins, NULL);
    return g_steal_pointer(&pins);
}

/* verify_both: (transfer full) the text that both signatures cover. */
static SignVerified *
verify_both(const StoreText *texts, GBytes *keys, const GPtrArray *pins, GError **error)
{
    SignCheck check = {.keys = keys, .pins = (const char *const *)pins->pdata, .name = "index"};
    g_autoptr(SignVerified) plain =
        sign_verify_detached(texts[INDEX].content, texts[INDEX_SIG].content, &check, error);
    g_autoptr(SignVerified) clear = NULL;

    if (plain == NULL)
        return NULL;
    check.name = "index.asc";
    clear = sign_verify_clear(texts[INDEX_ASC].content, &check, error);
    if (clear == NULL)
        return NULL;
    if (strcmp(plain->fingerprint, clear->fingerprint) != 0 ||
        !index_is_same_text(plain->text, clear->text)) {
        error_set(error, "index.asc: says something else than 'index'");
        return NULL;
    }
    return g_steal_pointer(&plain);
}

/* verify: (transfer full) what may be believed, by whatever rule this repository has. @out_trust_id: whom the trust speaks of;
 * NULL: there is none. */
static SignVerified *
verify(const ConfigSite *site, const Present *present, const StoreText *texts, size_t n_texts,
       const StoreNotes *notes, char **out_trust_id, GError **error)
{
    g_auto(PinsChain) pushed = {0};
    g_autoptr(GPtrArray) pins = NULL;
    g_autoptr(GBytes) keys = NULL, shown = NULL;
    g_autoptr(SignVerified) verified = NULL;
    const SignTrust *trust;

    if (n_texts > TRUST &&
        !pins_chain_parse(texts[TRUST].content, texts[TRUST_SIG].content, "trust", &pushed, error))
        return NULL;
    pins = find_pins(site, present, &pushed, texts, notes, &trust, error);
    keys = pins != NULL ? merged_keys(present, texts[KEYS].content, (const char *const *)pins->pdata, error)
                        : NULL;
    verified = keys != NULL ? verify_both(texts, keys, pins, error) : NULL;
    if (verified == NULL)
        return NULL;
    if (trust != NULL && sign_trust_index_key(trust, verified->fingerprint) == NULL) {
        error_set(error, "trust: does not name the key that signed the index");
        return NULL;
    }
    /* Clients find the key there. */
    shown = sign_select_key(texts[KEYS].content, verified->fingerprint, NULL, error);
    if (shown == NULL)
        return NULL;
    if (trust != NULL)
        *out_trust_id = g_strdup(trust->repo_id);
    return g_steal_pointer(&verified);
}

/* parse: (transfer full) every line of it has to be good: it will be read by many. */
static Index *
parse(GBytes *text, GError **error)
{
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(Index) index = index_parse(text, "index", &problems, error);

    if (index == NULL)
        return NULL;
    if (problems->len > 0) {
        const IndexProblem *problem = g_ptr_array_index(problems, 0);

        error_set(error, "index:%u: %s", problem->line, problem->message);
        return NULL;
    }
    return g_steal_pointer(&index);
}

/* check_identity: of this repository, newer than what it has, and not expired. */
static bool
check_identity(const Index *index, const Present *present, const StoreNotes *notes, const char *trust_id,
               GError **error)
{
    const char *own = present->index != NULL ? present->index->repo_id : notes->repo_id;

    if (index->repo_id == NULL || !g_uuid_string_is_valid(index->repo_id) || index->version == 0)
        return error_set(error, "index: states no repository id or version");
    if (own != NULL && g_ascii_strcasecmp(index->repo_id, own) != 0)
        return error_set(error, "index: belongs to repository %s, but this one is %s", index->repo_id, own);
    if (trust_id != NULL && g_ascii_strcasecmp(index->repo_id, trust_id) != 0)
        return error_set(error, "trust: is of repository %s", trust_id);
    if (present->index != NULL && index->version <= present->index->version)
        return error_set_code(error, BASE_ERROR_EXISTS,
                              "index: version %" G_GUINT64_FORMAT " cannot follow version %" G_GUINT64_FORMAT,
                              index->version, present->index->version);
    return index->expires > time(NULL) || error_set(error, "index: has expired, or states no expiry");
}

bool
push_check(const ConfigSite *site, Store *store, const StoreText *texts, size_t n_texts, PushIndex *out_index,
           GError **error)
{
    g_auto(Present) present = {0};
    g_autoptr(SignVerified) verified = NULL;
    g_autoptr(Index) index = NULL;
    g_autoptr(GError) local = NULL;
    g_autofree char *trust_id = NULL;

    if (!store_notes_read(store, &out_index->notes, &local)) {
        if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        out_index->notes.key_number = 1;
    }
    if (!read_present(store, &present, error))
        return false;
    verified = verify(site, &present, texts, n_texts, &out_index->notes, &trust_id, error);
    index = verified != NULL ? parse(verified->text, error) : NULL;
    if (index == NULL)
        return false;
    out_index->version = index->version;
    out_index->repo_id = g_strdup(index->repo_id);
    out_index->fingerprint = g_strdup(verified->fingerprint);
    return check_identity(index, &present, &out_index->notes, trust_id, error) &&
           push_check_files(store, index, error);
}
