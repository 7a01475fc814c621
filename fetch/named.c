// SPDX-License-Identifier: Apache-2.0
#include "fetch/named.h"

#include "base/digest.h"
#include "fetch/access.h"
#include "net/net.h"
#include "sign/sign.h"

#include <string.h>

#define NAME_DIGITS 24

static char *
name_of(const char *uri, const char *fingerprint)
{
    g_autofree char *bound = g_strdup_printf("%s\n%s", uri, fingerprint == NULL ? "" : fingerprint);
    g_autofree char *digest = digest_bytes(DIGEST_SHA256, bound, strlen(bound));

    return g_strdup_printf("url-%.*s", NAME_DIGITS, digest);
}

/* What virt-builder does: gpg knows the key, the fingerprint alone says which one is meant. */
static GBytes *
read_keyring(const char *fingerprint)
{
    const char *argv[] = {"gpg", "--batch", "--no-tty", "--quiet", "--armor", "--export", fingerprint, NULL};
    g_autofree char *keys = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      &keys, NULL, &status, NULL) ||
        !g_spawn_check_wait_status(status, NULL) || *keys == '\0' || strlen(keys) > SIGN_MAX_KEYS)
        return NULL;
    return g_bytes_new(keys, strlen(keys));
}

/* What the source publishes itself needs no trust: it counts for no more than its fingerprint. */
static GBytes *
read_published(const Source *source, GError **error)
{
    g_auto(NetReply) reply = {0};
    g_auto(NetAccess) access = {0};
    g_autofree char *url = net_url_join(source->uri, "keys.asc");
    NetLimits limits;

    if (!access_init(source, &access, &limits, error) ||
        !net_get(url, SIGN_MAX_KEYS, NULL, &limits, &reply, error))
        return NULL;
    return g_steal_pointer(&reply.body);
}

static GBytes *
find_key(const Source *source, const char *fingerprint, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) published = read_published(source, &problem), kept = NULL;
    GBytes *key = published == NULL ? NULL : sign_select_key(published, fingerprint, NULL, &problem);

    if (key != NULL)
        return key;
    kept = read_keyring(fingerprint);
    key = kept == NULL ? NULL : sign_select_key(kept, fingerprint, NULL, NULL);
    if (key == NULL && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        error_set_code(error, BASE_ERROR_NOT_FOUND,
                       "%s: the source publishes no keys, and the key %s is not in the GnuPG keyring; import "
                       "it with 'gpg --import'",
                       source->uri, fingerprint);
    else if (key == NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    return key;
}

Source *
named_source(const char *uri, const char *fingerprint, GError **error)
{
    g_autofree char *pin = NULL, *name = NULL, *normal = source_normal_uri(uri, SOURCE_NATIVE, error);
    g_autoptr(Source) source = NULL;

    if (normal == NULL)
        return NULL;
    if (fingerprint != NULL && (pin = sign_normal_fingerprint(fingerprint, error)) == NULL)
        return NULL;
    name = name_of(normal, pin);
    source = source_new(name, normal);
    source->is_unsigned = pin == NULL;
    if (pin == NULL)
        return g_steal_pointer(&source);
    source->keys = find_key(source, pin, error);
    g_strfreev(source->pins);
    source->pins = g_new0(char *, 2);
    source->pins[0] = g_steal_pointer(&pin);
    return source->keys == NULL ? NULL : g_steal_pointer(&source);
}

Source *
named_unsigned(Source *source)
{
    if (source->is_unsigned)
        return source;
    g_free(source->name);
    source->name = name_of(source->uri, NULL);
    source->is_unsigned = true;
    g_strfreev(source->pins);
    source->pins = g_new0(char *, 1);
    g_strfreev(source->roots);
    source->roots = g_new0(char *, 1);
    source->threshold = 0;
    g_clear_pointer(&source->keys, g_bytes_unref);
    g_clear_pointer(&source->repo_id, g_free);
    return source;
}
