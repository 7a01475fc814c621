// SPDX-License-Identifier: Apache-2.0
/* Pins from repod.conf or from the notes that publishing keeps, and where root keys among them lead. keys.asc is never a source
 * of trust. */
#include "repod/pins.h"

char **
pins_read(const ConfigSite *site, Store *store, GError **error)
{
    g_auto(StoreNotes) notes = {0};
    char **pins;

    if (site->fingerprints != NULL)
        return g_strdupv(site->fingerprints);
    if (!store_notes_read(store, &notes, error) ||
        (notes.fingerprint == NULL && !error_set(error, "the repository is unfinished"))) {
        g_prefix_error(
            error, "which key signs it is not known (set 'fingerprints' of [repository %s] in repod.conf): ",
            site->name);
        return NULL;
    }
    pins = g_new0(char *, 2);
    pins[0] = g_steal_pointer(&notes.fingerprint);
    return pins;
}

void
pins_chain_clear(PinsChain *chain)
{
    g_clear_pointer(&chain->chain, g_ptr_array_unref);
    g_clear_pointer(&chain->blocks, g_ptr_array_unref);
}

bool
pins_chain_parse(GBytes *text, GBytes *signatures, const char *name, PinsChain *out_chain, GError **error)
{
    g_auto(PinsChain) chain = {0};

    chain.chain = sign_trust_parse(text, name, error);
    if (chain.chain == NULL)
        return false;
    chain.blocks = sign_trust_parse_signatures(signatures, name, error);
    if (chain.blocks == NULL)
        return false;
    *out_chain = chain;
    chain = (PinsChain){0};
    return true;
}

const SignTrust *
pins_chain_last(const PinsChain *chain)
{
    return g_ptr_array_index(chain->chain, chain->chain->len - 1);
}

void
pins_add_named(GPtrArray *pins, const SignTrust *trust, int64_t when)
{
    for (guint i = 0; i < trust->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(trust->index_keys, i);

        if (key->not_after == 0 || key->not_after > when)
            g_ptr_array_add(pins, g_strdup(key->fingerprint));
    }
}

char **
pins_roots(const PinsChain *chain, char *const *pins)
{
    GPtrArray *roots = g_ptr_array_new();

    for (; *pins != NULL; pins++) {
        bool is_root = false;

        for (guint i = 0; i < chain->chain->len && !is_root; i++)
            is_root = sign_trust_has_root(g_ptr_array_index(chain->chain, i), *pins);
        if (is_root)
            g_ptr_array_add(roots, g_strdup(*pins));
    }
    g_ptr_array_add(roots, NULL);
    return (char **)g_ptr_array_free(roots, FALSE);
}

static bool
has_all_roots(const SignTrust *trust, char *const *roots)
{
    while (*roots != NULL && sign_trust_has_root(trust, *roots))
        roots++;
    return *roots == NULL;
}

/* find_signed: the last version that all of @roots have signed; NULL with the reason why the newest candidate is none in @error,
 * which must not be NULL. */
static const SignTrust *
find_signed(const PinsChain *chain, GBytes *keys, char *const *roots, GError **error)
{
    g_autoptr(GPtrArray) versions = g_ptr_array_new();
    const SignTrust *found = NULL;

    for (guint i = 0; i < chain->chain->len; i++)
        g_ptr_array_add(versions, g_ptr_array_index(chain->chain, i));
    for (; found == NULL && versions->len > 0; g_ptr_array_set_size(versions, (gint)versions->len - 1)) {
        if (!has_all_roots(g_ptr_array_index(versions, versions->len - 1), roots))
            continue;
        found = sign_trust_adopt(versions, chain->blocks, keys, NULL, (const char *const *)roots,
                                 g_strv_length((char **)roots), "trust", *error == NULL ? error : NULL);
    }
    if (found == NULL && *error == NULL)
        error_set_code(error, BASE_ERROR_UNTRUSTED,
                       "trust: no version has all the root keys that are pinned");
    if (found != NULL)
        g_clear_error(error);
    return found;
}

bool
pins_follow(const PinsChain *chain, GBytes *keys, char *const *pins, uint64_t *out_first, GError **error)
{
    g_auto(GStrv) roots = pins_roots(chain, pins);
    g_autoptr(GError) local = NULL;
    const SignTrust *first;

    if (*roots == NULL) {
        *out_first = 0;
        return true;
    }
    first = find_signed(chain, keys, roots, &local);
    if (first == NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    if (sign_trust_adopt(chain->chain, chain->blocks, keys, first, NULL, 0, "trust", error) == NULL)
        return false;
    *out_first = first->version;
    return true;
}
