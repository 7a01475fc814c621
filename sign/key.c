// SPDX-License-Identifier: Apache-2.0
/* Signing keys, each alone in a GnuPG home of its own: making, showing and exporting them, and signing an
 * index. */
#include "base/file.h"
#include "sign/gpg.h"
#include "sign/home.h"
#include "sign/sign.h"

#define LOCK_NAME "virt-depot.lock"
#define DEFAULT_SIGNATURE_DAYS 14u /* until sign_index() writes what it was asked for */

/* AgentGuard: ends the home's agent when the scope ends, whatever the outcome. */
typedef const char *AgentGuard;
static void
agent_guard_end(AgentGuard home)
{
    sign_home_stop_agent(home);
}
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(AgentGuard, agent_guard_end, NULL)

static char *
create_in(const char *home, SignKeyKind kind, const char *user_id, unsigned valid_days, GError **error)
{
    g_autoptr(Gpg) gpg = NULL;
    g_auto(AgentGuard) guard = NULL;

    if (!sign_home_write_signing_conf(home, DEFAULT_SIGNATURE_DAYS, error))
        return NULL;
    gpg = sign_gpg_open(home, error);
    if (gpg == NULL)
        return NULL;
    guard = home;
    return sign_gpg_create(gpg, kind, user_id, valid_days, error);
}

char *
sign_key_create(const char *home, SignKeyKind kind, const char *user_id, unsigned valid_days, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(home);
    g_autofree char *fingerprint = NULL;
    g_auto(Home) temporary = HOME_NONE;

    if (!sign_home_check_path(home, error))
        return NULL;
    if (g_file_test(home, G_FILE_TEST_EXISTS)) {
        error_set_code(error, BASE_ERROR_EXISTS, "%s: exists already", home);
        return NULL;
    }
    if (!file_make_dirs(parent, 0700, error) || !sign_home_init_key(&temporary, parent, error))
        return NULL;
    /* Under a name of its own until it is complete: a killed run leaves no half-made key at @home. */
    fingerprint = create_in(temporary.path, kind, user_id, valid_days, error);
    if (fingerprint == NULL || !sign_home_keep(&temporary, home, error))
        return NULL;
    return g_steal_pointer(&fingerprint);
}

/* has_secret: whether the agent, once started, would find anything. */
static bool
has_secret(const char *home)
{
    g_autofree char *path = g_build_filename(home, "private-keys-v1.d", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    return dir != NULL && g_dir_read_name(dir) != NULL;
}

char *
sign_key_fingerprint(const char *home, GError **error)
{
    g_autoptr(Gpg) gpg = NULL;
    g_autoptr(GPtrArray) list = NULL;

    if (!sign_home_check_path(home, error))
        return NULL;
    if (!g_file_test(home, G_FILE_TEST_IS_DIR) || !has_secret(home)) {
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there is no signing key", home);
        return NULL;
    }
    /* The public list: the secret one would start an agent, and the home holds nothing but our own key. */
    gpg = sign_gpg_open(home, error);
    list = gpg != NULL ? sign_gpg_list(gpg, error) : NULL;
    if (list == NULL)
        return NULL;
    if (list->len != 1) {
        error_set(error, "%s: holds %u keys where exactly one is expected", home, list->len);
        return NULL;
    }
    return g_strdup(sign_key_primary(g_ptr_array_index(list, 0))->fingerprint);
}

GBytes *
sign_key_export(const char *home, GError **error)
{
    g_autoptr(Gpg) gpg = sign_gpg_open(home, error);
    g_autoptr(GBytes) keys = NULL;

    if (gpg == NULL)
        return NULL;
    keys = sign_gpg_export(gpg, NULL, error);
    if (keys != NULL && g_bytes_get_size(keys) == 0) {
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there is no public key", home);
        return NULL;
    }
    return g_steal_pointer(&keys);
}

bool
sign_index(const char *home, GBytes *text, unsigned valid_days, GBytes **out_clear, GBytes **out_detached,
           GError **error)
{
    /* Also makes sure that "the default key" is one and only. */
    g_autofree char *fingerprint = sign_key_fingerprint(home, error);
    g_autofree char *lock_path = g_build_filename(home, LOCK_NAME, NULL);
    g_auto(Fd) lock = -1;
    g_autoptr(Gpg) gpg = NULL;
    g_autoptr(GBytes) clear = NULL;
    g_autoptr(GBytes) detached = NULL;
    g_auto(AgentGuard) guard = NULL;

    /* One at a time: the agent that we end must not be the one that somebody else signs with. */
    lock = fingerprint != NULL ? file_lock(lock_path, true, error) : -1;
    if (lock < 0 || !sign_home_write_signing_conf(home, valid_days, error))
        return false;
    gpg = sign_gpg_open(home, error);
    if (gpg == NULL)
        return false;
    guard = home;
    clear = sign_gpg_sign(gpg, text, true, error);
    detached = clear != NULL ? sign_gpg_sign(gpg, text, false, error) : NULL;
    if (detached == NULL)
        return false;
    *out_clear = g_steal_pointer(&clear);
    *out_detached = g_steal_pointer(&detached);
    return true;
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

    if (g_bytes_get_size(keys) > SIGN_MAX_KEYS) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "the public keys are larger than %u bytes",
                       SIGN_MAX_KEYS);
        return NULL;
    }
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
