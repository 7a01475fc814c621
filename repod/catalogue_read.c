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
    char **pins;
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
verify(const Reading *reading, const StoreText texts[N_TEXTS], SignPolicy policy, GError **error)
{
    const SignCheck check = {
        .keys = texts[TEXT_KEYS].content,
        .pins = (const char *const *)reading->pins,
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

    for (char **pin = reading->pins; *pin != NULL; pin++)
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
            g_autoptr(SignVerified) verified = verify(reading, texts, SIGN_ALLOW_EXPIRED, NULL);

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

static bool
take_index(Catalogue *catalogue, const SignVerified *verified, GError **error)
{
    Index *index = index_parse(verified->text, "index", NULL, error);

    if (index == NULL)
        return false;
    catalogue->index = index;
    catalogue->fingerprint = g_strdup(verified->fingerprint);
    catalogue->signed_at = verified->signed_at;
    catalogue->expires_at = earlier(index->expires, earlier(verified->expires_at, verified->key_expires_at));
    if (catalogue->expires_at != 0 && catalogue->expires_at <= time(NULL))
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "the index has expired; its publisher must sign it again");
    return true;
}

static bool
read_current(Reading *reading, Catalogue *catalogue, GError **error)
{
    StoreText texts[N_TEXTS];
    g_autoptr(SignVerified) verified = NULL;
    uint64_t version = 0;

    reading->pins = pins_read(reading->site, reading->store, error);
    if (reading->pins == NULL)
        return false;
    texts_init(texts);
    if (store_read_texts(reading->store, texts, N_TEXTS, CATALOGUE_MAX_BYTES, &version, error))
        verified = verify(reading, texts, SIGN_STRICT, error);
    if (verified != NULL) {
        /* It was verified by stricter rules than it will be as an old version. */
        g_hash_table_add(reading->verified, digest_of(reading, texts));
    }
    texts_clear(texts);
    if (verified == NULL || !take_index(catalogue, verified, error))
        return false;
    read_history(reading, catalogue, version);
    return true;
}

/* Other messages may name this server's folders, which is nobody's business. */
static const char *
describe(const Reading *reading, const GError *error)
{
    if (reading->pins == NULL)
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
    Reading reading = {site, store, NULL, known, verified};
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
