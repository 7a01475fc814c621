// SPDX-License-Identifier: Apache-2.0
/* One small file per key file seen, named by its digest: a fingerprint a line. */
#include "fetch/keyfile.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/paths.h"
#include "sign/sign.h"

#include <string.h>

#define MAX_KEYS 100u
#define MAX_RECORD (MAX_KEYS * (SIGN_FINGERPRINT_DIGITS + 1))

static char **
load(const char *path)
{
    g_autoptr(GBytes) bytes = file_read(path, MAX_RECORD, NULL);
    g_autofree char *text =
        bytes == NULL ? NULL : g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    g_auto(GStrv) pins = text == NULL ? NULL : g_strsplit(g_strchomp(text), "\n", -1);

    for (guint i = 0; pins != NULL && pins[i] != NULL; i++)
        if (strlen(pins[i]) != SIGN_FINGERPRINT_DIGITS || !sign_is_fingerprint(pins[i]))
            return NULL;
    return pins == NULL || pins[0] == NULL ? NULL : g_steal_pointer(&pins);
}

static char **
ask(GBytes *keys, const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = sign_list_keys(keys, error);
    g_autoptr(GPtrArray) pins = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; list != NULL && i < list->len; i++)
        g_ptr_array_add(pins, g_strdup(sign_key_primary(g_ptr_array_index(list, i))->fingerprint));
    if (list == NULL || pins->len == 0 || pins->len > MAX_KEYS) {
        if (list != NULL)
            error_set(error, "%u keys where 1 to %u are expected", pins->len, MAX_KEYS);
        g_prefix_error(error, "%s: ", name);
        return NULL;
    }
    g_ptr_array_add(pins, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&pins), FALSE);
}

char **
keyfile_pins(GBytes *keys, const char *name, GError **error)
{
    g_autofree char *digest =
        digest_bytes(DIGEST_SHA256, g_bytes_get_data(keys, NULL), g_bytes_get_size(keys));
    g_autofree char *state = path_state(), *folder = g_build_filename(state, "keyfiles", NULL);
    g_autofree char *path = g_build_filename(folder, digest, NULL), *text = NULL;
    g_auto(GStrv) pins = load(path);

    if (pins != NULL)
        return g_steal_pointer(&pins);
    pins = ask(keys, name, error);
    if (pins == NULL)
        return NULL;
    text = g_strjoinv("\n", pins);
    /* Where it cannot be remembered gpg is asked again the next time. */
    if (file_make_dirs(folder, 0700, NULL))
        file_write_atomic(path, text, strlen(text), 0600, NULL);
    return g_steal_pointer(&pins);
}
