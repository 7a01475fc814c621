// SPDX-License-Identifier: Apache-2.0
/* Reads what is published: the present index by every rule, older ones for the history alone. */
#include "repod/catalogue.h"

#include "base/digest.h"
#include "repod/pins.h"
#include "sign/sign.h"
#include "store/store.h"

#include <string.h>
#include <time.h>

typedef enum { TEXT_INDEX, TEXT_SIGNATURE, TEXT_KEYS, N_TEXTS } TextKind;

typedef struct {
    const ConfigSite *site;
    Store *store;
    bool has_looked;      /* for pins */
    bool has_pins;        /* found some */
    char **pins;          /* whose signature counts now; NULL: what the pins lead to is not right */
    PinsChain trust;      /* that root keys among them lead through; empty: none */
    char **old_pins;      /* whose signature counted at some time */
    GHashTable *known;    /* digests that were verified before; NULL: none */
    GHashTable *verified; /* of this reading */
} Reading;

static void
texts_init(StoreText texts[N_TEXTS])
{
    static const char *const names[N_TEXTS] = {"index", "index.sig", "keys.asc"};

    for (size_t i = 0; i < N_TEXTS; i++)
        texts[i] = (StoreText){names[i], NULL};
}

static void
texts_clear(StoreText texts[N_TEXTS])
{
    for (size_t i = 0; i < N_TEXTS; i++)
        store_text_clear(&texts[i]);
}

static SignVerified *
verify(char *const *pins, const StoreText texts[N_TEXTS], SignPolicy policy, GError **error)
{
    const SignCheck check = {
        .keys = texts[TEXT_KEYS].content,
        .pins = (const char *const *)pins,
        .policy = policy,
        .name = "index",
    };

    return sign_verify_detached(texts[TEXT_INDEX].content, texts[TEXT_SIGNATURE].content, &check, error);
}

/* What a verdict about an old version rests on. */
static char *
digest_of(const Reading *reading, const StoreText texts[N_TEXTS])
{
    Digest *digest = digest_new(DIGEST_SHA256);
    char *hex;

    for (char **pin = reading->old_pins; *pin != NULL; pin++)
        digest_update(digest, *pin, strlen(*pin) + 1);
    for (size_t i = 0; i < N_TEXTS; i++) {
        const uint64_t size = g_bytes_get_size(texts[i].content);

        digest_update(digest, &size, sizeof size);
        digest_update(digest, g_bytes_get_data(texts[i].content, NULL), size);
    }
    hex = digest_finish(digest);
    digest_free(digest);
    return hex;
}

/* read_old: (nullable) an older version. That its signature has expired is no matter: nobody is asked to use it. */
static Index *
read_old(const Reading *reading, uint64_t version)
{
    StoreText texts[N_TEXTS];
    g_autofree char *digest = NULL;
    Index *index = NULL;

    texts_init(texts);
    if (store_read_generation(reading->store, version, texts, N_TEXTS, CATALOGUE_MAX_BYTES, NULL)) {
        digest = digest_of(reading, texts);
        if (reading->known != NULL && g_hash_table_contains(reading->known, digest)) {
            index = index_parse(texts[TEXT_INDEX].content, "index", NULL, NULL);
        } else {
            g_autoptr(SignVerified) verified = verify(reading->old_pins, texts, SIGN_ALLOW_EXPIRED, NULL);

            index = verified != NULL ? index_parse(verified->text, "index", NULL, NULL) : NULL;
        }
        if (index != NULL)
            g_hash_table_add(reading->verified, g_steal_pointer(&digest));
    }
    texts_clear(texts);
    return index;
}

static void
read_history(const Reading *reading, Catalogue *catalogue, uint64_t current)
{
    g_autoptr(GArray) generations = store_list_generations(reading->store, NULL);
    const guint n = generations != NULL ? generations->len : 0;

    for (guint i = 0; i < n; i++) {
        const uint64_t version = g_array_index(generations, StoreGeneration, i).version;
        g_autoptr(Index) old = NULL;

        if (version >= current)
            break;
        if (n - i <= CATALOGUE_MAX_VERSIONS)
            old = read_old(reading, version);
        if (old != NULL)
            catalogue_add_version(catalogue, old);
        else
            catalogue->n_unread++;
    }
    catalogue_add_version(catalogue, catalogue->index);
}

/* earlier: of two times where 0 means never. */
static int64_t
earlier(int64_t a, int64_t b)
{
    return a == 0 ? b : b == 0 ? a : MIN(a, b);
}

/* trust_ends: when the trust will not let that key sign any more. */
static int64_t
trust_ends(const Reading *reading, const char *fingerprint)
{
    const SignTrust *last = pins_chain_last(&reading->trust);
    const SignIndexKey *key = sign_trust_index_key(last, fingerprint);

    return earlier(last->expires, key != NULL ? key->not_after : 0);
}

static bool
take_index(const Reading *reading, Catalogue *catalogue, const SignVerified *verified, GError **error)
{
    Index *index = index_parse(verified->text, "index", NULL, error);

    if (index == NULL)
        return false;
    catalogue->index = index;
    catalogue->fingerprint = g_strdup(verified->fingerprint);
    catalogue->signed_at = verified->signed_at;
    catalogue->expires_at = earlier(index->expires, earlier(verified->expires_at, verified->key_expires_at));
    if (catalogue->roots != NULL)
        catalogue->expires_at = earlier(catalogue->expires_at, trust_ends(reading, verified->fingerprint));
    if (catalogue->expires_at != 0 && catalogue->expires_at <= time(NULL))
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "the index has expired; its publisher must sign it again");
    return true;
}

/* read_trust: of that version; stays empty where there is none. */
static bool
read_trust(const Reading *reading, uint64_t version, PinsChain *out_trust, GError **error)
{
    StoreText texts[] = {{"trust", NULL}, {"trust.sig", NULL}};
    g_autoptr(GError) local = NULL;
    bool is_ok = store_read_generation(reading->store, version, texts, G_N_ELEMENTS(texts),
                                       SIGN_TRUST_MAX_BYTES, &local);

    if (is_ok)
        is_ok = pins_chain_parse(texts[0].content, texts[1].content, "trust", out_trust, error);
    else if (g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        is_ok = true;
    else
        g_propagate_error(error, g_steal_pointer(&local));
    store_text_clear(&texts[0]);
    store_text_clear(&texts[1]);
    return is_ok;
}

/* strv_of: (transfer full) the texts of an array of them, which is then empty. */
static char **
strv_of(GPtrArray *texts)
{
    g_ptr_array_add(texts, NULL);
    return (char **)g_ptr_array_free(texts, FALSE);
}

/* find_pins: the pins, and the keys that the trust names where root keys are among them. */
static bool
find_pins(Reading *reading, Catalogue *catalogue, uint64_t version, GBytes *keys, GError **error)
{
    g_auto(GStrv) own = pins_read(reading->site, reading->store, error);
    uint64_t first = 0;
    GPtrArray *now, *old;

    reading->has_looked = true;
    reading->has_pins = own != NULL;
    if (own == NULL)
        return false;
    if (!read_trust(reading, version, &reading->trust, error) ||
        (reading->trust.chain != NULL && !pins_follow(&reading->trust, keys, own, &first, error)))
        return false;
    now = g_ptr_array_new();
    old = g_ptr_array_new();
    for (char **pin = own; *pin != NULL; pin++) {
        g_ptr_array_add(now, g_strdup(*pin));
        g_ptr_array_add(old, g_strdup(*pin));
    }
    if (first > 0)
        pins_add_named(now, pins_chain_last(&reading->trust), time(NULL));
    for (uint64_t i = first; first > 0 && i <= reading->trust.chain->len; i++)
        pins_add_named(old, g_ptr_array_index(reading->trust.chain, (guint)i - 1), 0);
    reading->pins = strv_of(now);
    reading->old_pins = strv_of(old);
    if (first == 0)
        return true;
    catalogue->roots = pins_roots(&reading->trust, own);
    return pins_chain_last(&reading->trust)->expires > time(NULL) ||
           error_set_code(error, BASE_ERROR_UNTRUSTED,
                          "the trust has expired; enough of its root keys must sign another");
}

/* is_broken: rather than expired, which it is on every other server too. */
static bool
is_broken(const Reading *reading, const StoreText texts[N_TEXTS])
{
    g_autoptr(SignVerified) verified =
        reading->pins != NULL ? verify(reading->pins, texts, SIGN_ALLOW_EXPIRED, NULL) : NULL;
    g_autoptr(Index) index = verified != NULL ? index_parse(verified->text, "index", NULL, NULL) : NULL;

    return index == NULL;
}

static bool
has_text(Store *store, const char *name)
{
    g_auto(StoreText) text = {name, NULL};

    return store_read_texts(store, &text, 1, CATALOGUE_MAX_BYTES, NULL, NULL);
}

/* may_lack_texts: whether it can be a mirror that has all that its source publishes: index.asc alone, as many do, no keys, or no
 * signature at all. The texts are looked at since the mirror's notes are mostly another user's, whom this one may not read. */
static bool
may_lack_texts(Store *store)
{
    const bool has_clear = has_text(store, "index.asc");

    if (!store_may_be_mirror(store))
        return false;
    return has_text(store, "index") ? !has_clear || has_text(store, "index.sig") : has_clear;
}

static bool
read_current(Reading *reading, Catalogue *catalogue, GError **error)
{
    StoreText texts[N_TEXTS];
    g_autoptr(SignVerified) verified = NULL;
    uint64_t version = 0;
    bool is_ok;

    texts_init(texts);
    if (!store_read_texts(reading->store, texts, N_TEXTS, CATALOGUE_MAX_BYTES, &version, error)) {
        texts_clear(texts);
        catalogue->is_broken = store_has_version(reading->store) && !may_lack_texts(reading->store) &&
                               g_error_matches(*error, BASE_ERROR, BASE_ERROR_NOT_FOUND);
        return false;
    }
    if (find_pins(reading, catalogue, version, texts[TEXT_KEYS].content, error))
        verified = verify(reading->pins, texts, SIGN_STRICT, error);
    if (verified != NULL) {
        /* It was verified by stricter rules than it will be as an old version. */
        g_hash_table_add(reading->verified, digest_of(reading, texts));
    }
    is_ok = verified != NULL && take_index(reading, catalogue, verified, error);
    catalogue->is_broken = !is_ok && reading->has_pins && is_broken(reading, texts);
    texts_clear(texts);
    if (is_ok)
        read_history(reading, catalogue, version);
    return is_ok;
}

/* Other messages may name this server's folders, which is nobody's business. */
static const char *
describe(const Reading *reading, const GError *error)
{
    if (reading->has_looked && !reading->has_pins)
        return "this server has not been told which key signs the index";
    return g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED) ? error->message
                                                                    : "the index cannot be read";
}

Catalogue *
catalogue_read(const ConfigSite *site, GHashTable *known)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) store = store_open(site->dir, &error);
    g_autoptr(GHashTable) verified = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Reading reading = {.site = site, .store = store, .known = known, .verified = verified};
    Catalogue *catalogue = catalogue_new(site->name);

    if (store == NULL) {
        catalogue->is_empty = true;
        catalogue->problem = g_strdup("nothing has been published here yet");
    } else if (!read_current(&reading, catalogue, &error)) {
        catalogue->problem = g_strdup(describe(&reading, error));
        g_clear_pointer(&catalogue->index, index_free);
    }
    catalogue->detail = error != NULL ? g_strdup(error->message) : NULL;
    g_strfreev(reading.pins);
    g_strfreev(reading.old_pins);
    pins_chain_clear(&reading.trust);
    if (known != NULL) {
        GHashTableIter iter;
        void *key;

        g_hash_table_remove_all(known);
        g_hash_table_iter_init(&iter, verified);
        while (g_hash_table_iter_next(&iter, &key, NULL))
            g_hash_table_add(known, g_strdup(key));
    }
    return catalogue;
}
