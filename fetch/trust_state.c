// SPDX-License-Identifier: Apache-2.0
/* The trust in a source as one JSON file, replaced as a whole. */
#include "fetch/trust_state.h"

#include "base/file.h"
#include "base/json.h"
#include "base/paths.h"

#include <string.h>
#include <time.h>

#define STATE_NAME "state.json"
#define MAX_STATE (8u << 20) /* trust and keys of at most 1 MiB each, with JSON's escapes */

void
trust_state_clear(TrustState *state)
{
    g_clear_pointer(&state->chain, g_ptr_array_unref);
    g_clear_pointer(&state->trust, g_bytes_unref);
    g_clear_pointer(&state->keys, g_bytes_unref);
    g_clear_pointer(&state->trust_etag, g_free);
    g_clear_pointer(&state->keys_etag, g_free);
    g_clear_pointer(&state->keys_digest, g_free);
    g_clear_pointer(&state->uri, g_free);
}

char *
trust_state_path(const char *name, const char *leaf)
{
    g_autofree char *state = path_state();

    return g_build_filename(state, "trust", name, leaf, NULL);
}

bool
trust_state_forget(const char *name, GError **error)
{
    g_autofree char *folder = trust_state_path(name, NULL);

    return file_remove_tree(folder, error);
}

/* anchor: what the user said whom to trust. Kept trust rests on it and must not outlive it. */
static char *
anchor(const Source *source)
{
    if (*source->roots != NULL) {
        g_autofree char *roots = g_strjoinv(" ", source->roots);

        return g_strdup_printf("roots %u %s", source->threshold, roots);
    }
    return g_strjoinv(" ", source->pins);
}

static GBytes *
member(const Json *json, const char *key)
{
    const char *text = json_get_text(json, key);

    return text != NULL ? g_bytes_new(text, strlen(text)) : NULL;
}

static bool
parse(const Json *json, const char *path, TrustState *state, GError **error)
{
    state->trust = member(json, "trust");
    state->keys = member(json, "keys");
    state->trust_etag = g_strdup(json_get_text(json, "trust_etag"));
    state->keys_etag = g_strdup(json_get_text(json, "keys_etag"));
    state->keys_digest = g_strdup(json_get_text(json, "keys_digest"));
    state->uri = g_strdup(json_get_text(json, "uri"));
    if (state->trust == NULL)
        return true;
    state->chain = sign_trust_parse(state->trust, path, error);
    return state->chain != NULL;
}

bool
trust_state_read(const Source *source, TrustState *out_state, GError **error)
{
    g_autofree char *path = trust_state_path(source->name, STATE_NAME), *wanted = anchor(source);
    g_auto(TrustState) state = {0};
    g_autoptr(Json) json = NULL;

    *out_state = (TrustState){0};
    if (!json_read(path, MAX_STATE, &json, error))
        return false;
    if (json == NULL || g_strcmp0(json_get_text(json, "anchor"), wanted) != 0)
        return true;
    if (!parse(json, path, &state, error))
        return false;
    *out_state = state;
    state = (TrustState){0};
    return true;
}

static void
set_bytes(Json *json, const char *key, GBytes *bytes)
{
    g_autofree char *text =
        bytes != NULL ? g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)) : NULL;

    json_set_text(json, key, text);
}

bool
trust_state_write(const Source *source, const TrustState *state, GError **error)
{
    g_autofree char *path = trust_state_path(source->name, STATE_NAME), *folder = g_path_get_dirname(path);
    g_autofree char *rests_on = anchor(source), *text = NULL;
    g_autoptr(Json) json = json_new_object();

    json_set_text(json, "anchor", rests_on);
    json_set_text(json, "uri", state->uri);
    json_set_text(json, "trust_etag", state->trust_etag);
    json_set_text(json, "keys_etag", state->keys_etag);
    json_set_text(json, "keys_digest", state->keys_digest);
    set_bytes(json, "trust", state->trust);
    set_bytes(json, "keys", state->keys);
    text = json_print(json);
    return file_make_dirs(folder, 0700, error) && file_write_atomic(path, text, strlen(text), 0600, error);
}

const SignTrust *
trust_state_last(const TrustState *state)
{
    return state->chain == NULL ? NULL : g_ptr_array_index(state->chain, state->chain->len - 1);
}

/* pins_of: (transfer full) the keys that may sign the index now. */
static char **
pins_of(const SignTrust *trust, int64_t now)
{
    g_autoptr(GPtrArray) pins = g_ptr_array_new();

    for (guint i = 0; i < trust->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(trust->index_keys, i);

        if (key->not_after == 0 || key->not_after > now)
            g_ptr_array_add(pins, g_strdup(key->fingerprint));
    }
    g_ptr_array_add(pins, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&pins), FALSE);
}

bool
trust_state_apply(Source *source, const TrustState *state, GError **error)
{
    const SignTrust *last = trust_state_last(state);

    if (state->keys != NULL) {
        g_clear_pointer(&source->keys, g_bytes_unref);
        source->keys = g_bytes_ref(state->keys);
    }
    if (last == NULL)
        return true;
    if (source->repo_id != NULL && strcmp(source->repo_id, last->repo_id) != 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: its trust is of repository %s, but the source was added as %s",
                              source->uri, last->repo_id, source->repo_id);
    if (source->repo_id == NULL)
        source->repo_id = g_strdup(last->repo_id);
    g_strfreev(source->pins);
    source->pins = pins_of(last, (int64_t)time(NULL));
    source->trusted_until = last->expires;
    return true;
}

bool
trust_state_load(Source *source, GError **error)
{
    g_auto(TrustState) state = {0};

    return source->is_unsigned ||
           (trust_state_read(source, &state, error) && trust_state_apply(source, &state, error));
}
