// SPDX-License-Identifier: Apache-2.0
/* Blocks of public keys that anybody may have written: choosing from them and merging them. */
#include "sign/gpg.h"
#include "sign/home.h"

#include <string.h>

static bool
check_size(GBytes *keys, GError **error)
{
    if (g_bytes_get_size(keys) <= SIGN_MAX_KEYS)
        return true;
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "the public keys are larger than %u bytes",
                          SIGN_MAX_KEYS);
}

/* select_in: the wanted key among those just imported. */
static char *
select_in(Gpg *gpg, const char *wanted, GError **error)
{
    g_autoptr(GPtrArray) list = sign_gpg_list(gpg, error);

    if (list == NULL)
        return NULL;
    for (guint i = 0; wanted != NULL && i < list->len; i++) {
        if (g_str_equal(sign_key_primary(g_ptr_array_index(list, i))->fingerprint, wanted))
            return g_strdup(wanted);
    }
    if (wanted == NULL && list->len == 1)
        return g_strdup(sign_key_primary(g_ptr_array_index(list, 0))->fingerprint);
    if (wanted != NULL)
        error_set_code(error, BASE_ERROR_UNTRUSTED, "key %s is not among the %u keys given", wanted,
                       list->len);
    else
        error_set_code(error, BASE_ERROR_UNTRUSTED,
                       "%u keys given where exactly one is expected; say which by its fingerprint",
                       list->len);
    return NULL;
}

GBytes *
sign_select_key(GBytes *keys, const char *fingerprint, char **out_fingerprint, GError **error)
{
    g_autofree char *wanted = NULL;
    g_autofree char *found = NULL;
    g_autoptr(GBytes) key = NULL;
    g_auto(Home) home = HOME_NONE;
    g_autoptr(Gpg) gpg = NULL;

    if (!check_size(keys, error))
        return NULL;
    if (fingerprint != NULL && (wanted = sign_normal_fingerprint(fingerprint, error)) == NULL)
        return NULL;
    if (!sign_home_init_temporary(&home, error))
        return NULL;
    gpg = sign_gpg_open(home.path, error);
    if (gpg == NULL || !sign_gpg_import(gpg, keys, error))
        return NULL;
    found = select_in(gpg, wanted, error);
    key = found != NULL ? sign_gpg_export(gpg, found, error) : NULL;
    if (key == NULL)
        return NULL;
    if (out_fingerprint != NULL)
        *out_fingerprint = g_steal_pointer(&found);
    return g_steal_pointer(&key);
}

/* import_all: blocks that hold nothing usable are no error: what they lack is found out by its absence. */
static bool
import_all(Gpg *gpg, const GPtrArray *blocks, GError **error)
{
    for (guint i = 0; i < blocks->len; i++) {
        GBytes *block = g_ptr_array_index(blocks, i);

        if (!check_size(block, error))
            return false;
        if (g_bytes_get_size(block) > 0 && !sign_gpg_import(gpg, block, error))
            return false;
    }
    return true;
}

GBytes *
sign_merge_keys(const GPtrArray *blocks, const char *const *fingerprints, GError **error)
{
    g_auto(Home) home = HOME_NONE;
    g_autoptr(Gpg) gpg = NULL;
    g_autoptr(GPtrArray) list = NULL;
    guint left = 0;

    if (!sign_home_init_temporary(&home, error))
        return NULL;
    gpg = sign_gpg_open(home.path, error);
    if (gpg == NULL || !import_all(gpg, blocks, error) || (list = sign_gpg_list(gpg, error)) == NULL)
        return NULL;
    for (guint i = 0; i < list->len; i++) {
        const char *primary = sign_key_primary(g_ptr_array_index(list, i))->fingerprint;

        if (fingerprints == NULL || g_strv_contains(fingerprints, primary))
            left++;
        else if (!sign_gpg_delete(gpg, primary, error))
            return NULL;
    }
    return left > 0 ? sign_gpg_export(gpg, NULL, error) : g_bytes_new(NULL, 0);
}

GPtrArray *
sign_list_keys(GBytes *keys, GError **error)
{
    g_auto(Home) home = HOME_NONE;
    g_autoptr(Gpg) gpg = NULL;

    if (!check_size(keys, error) || !sign_home_init_temporary(&home, error))
        return NULL;
    gpg = sign_gpg_open(home.path, error);
    return gpg != NULL && sign_gpg_import(gpg, keys, error) ? sign_gpg_list(gpg, error) : NULL;
}
