// SPDX-License-Identifier: Apache-2.0
#include "guest/keys.h"

#include "base/cli.h"

#include <string.h>

typedef struct {
    char *id; /* device, UUID, or "all" */
    char *passphrase;
} Key;

struct GuestKeys {
    GPtrArray *keys; /* (element-type Key) */
};

static void
key_free(Key *key)
{
    g_free(key->id);
    if (key->passphrase != NULL)
        explicit_bzero(key->passphrase, strlen(key->passphrase));
    g_free(key->passphrase);
    g_free(key);
}

GuestKeys *
guest_keys_new(void)
{
    GuestKeys *keys = g_new0(GuestKeys, 1);

    keys->keys = g_ptr_array_new_with_free_func((GDestroyNotify)key_free);
    return keys;
}

void
guest_keys_free(GuestKeys *keys)
{
    if (keys == NULL)
        return;
    g_ptr_array_unref(keys->keys);
    g_free(keys);
}

bool
guest_keys_add(GuestKeys *keys, const char *selector, GError **error)
{
    g_auto(GStrv) part = g_strsplit(selector, ":", 3);
    bool is_file = g_strv_length(part) == 3 && strcmp(part[1], "file") == 0;
    g_autofree char *passphrase = NULL;
    Key *key;

    /* The selector may hold the passphrase, so no message repeats it. */
    if (g_strv_length(part) != 3 || part[0][0] == '\0' || part[2][0] == '\0' ||
        (!is_file && strcmp(part[1], "key") != 0))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--key: ID:file:FILENAME or ID:key:PASSPHRASE is expected, where ID is a "
                              "device, a UUID or \"all\"");
    if (is_file && !cli_check_private(part[2], error))
        return false;
    passphrase = is_file ? cli_read_secret(part[2], error) : g_strdup(part[2]);
    explicit_bzero(part[2], strlen(part[2]));
    if (passphrase == NULL)
        return false;
    key = g_new0(Key, 1);
    key->id = g_strdup(part[0]);
    key->passphrase = g_steal_pointer(&passphrase);
    g_ptr_array_add(keys->keys, key);
    return true;
}

/* "/dev/vda2" and "/dev/sda2" mean partition 2 of the disk at hand. */
static bool
is_device(const char *id, const char *disk, const char *device)
{
    static const char *const FIRST[] = {"/dev/sda", "/dev/vda", "/dev/hda"};

    for (unsigned i = 0; i < G_N_ELEMENTS(FIRST); i++)
        if (g_str_has_prefix(id, FIRST[i]) && g_str_has_prefix(device, disk) &&
            strcmp(id + strlen(FIRST[i]), device + strlen(disk)) == 0)
            return true;
    return false;
}

const char *
keys_next(const GuestKeys *keys, const char *disk, const char *device, const char *uuid, unsigned *at)
{
    while (keys != NULL && *at < keys->keys->len) {
        const Key *key = keys->keys->pdata[(*at)++];

        if (strcmp(key->id, "all") == 0 || is_device(key->id, disk, device) ||
            (uuid != NULL && g_ascii_strcasecmp(key->id, uuid) == 0))
            return key->passphrase;
    }
    return NULL;
}
