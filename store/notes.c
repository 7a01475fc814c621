// SPDX-License-Identifier: Apache-2.0
/* The notes of a repository: who it is and which key signs it. Two programs write them: the publisher, and the server that a
 * repository is pushed to. */
#include "base/json.h"
#include "store/store.h"

#include <string.h>

#define NAME "repo.json"
#define FORMAT 1
#define MAX_BYTES (64u << 10) /* 200 bytes in fact */
#define MAX_KEY_NUMBER 999
#define FINGERPRINT_DIGITS 40

void
store_notes_clear(StoreNotes *notes)
{
    g_clear_pointer(&notes->repo_id, g_free);
    g_clear_pointer(&notes->fingerprint, g_free);
}

static bool
is_fingerprint(const char *text)
{
    return strlen(text) == FINGERPRINT_DIGITS && strspn(text, "0123456789ABCDEF") == FINGERPRINT_DIGITS;
}

bool
store_notes_read(Store *store, StoreNotes *out_notes, GError **error)
{
    g_autoptr(GBytes) bytes = store_read_private(store, NAME, MAX_BYTES, error);
    g_autofree char *name = g_strdup_printf("%s: " NAME, store_location(store));
    g_autoptr(Json) json = NULL;
    const char *repo_id, *fingerprint;
    int64_t number;
    gsize size;
    const char *text;

    if (bytes == NULL)
        return false;
    text = g_bytes_get_data(bytes, &size);
    json = json_parse(text, size, name, error);
    if (json == NULL)
        return false;
    repo_id = json_get_text(json, "repo_id");
    fingerprint = json_get_text(json, "fingerprint");
    number = json_get_number(json, "key_number", 1);
    if (json_get_number(json, "format", 0) != FORMAT)
        return error_set(error, "%s: written by a newer virt-depot", name);
    if (repo_id == NULL || !g_uuid_string_is_valid(repo_id))
        return error_set(error, "%s: holds no valid repository id", name);
    if (fingerprint != NULL && !is_fingerprint(fingerprint))
        return error_set(error, "%s: holds no valid fingerprint", name);
    if (number < 1 || number > MAX_KEY_NUMBER)
        return error_set(error, "%s: holds no valid number of a key", name);
    *out_notes = (StoreNotes){g_strdup(repo_id), g_strdup(fingerprint), (unsigned)number};
    return true;
}

bool
store_notes_write(Store *store, const StoreNotes *notes, GError **error)
{
    g_autoptr(Json) json = json_new_object();
    g_autofree char *text = NULL;

    json_set_number(json, "format", FORMAT);
    json_set_text(json, "repo_id", notes->repo_id);
    json_set_text(json, "fingerprint", notes->fingerprint);
    json_set_number(json, "key_number", notes->key_number);
    text = json_print(json);
    return store_write_private(store, NAME, text, strlen(text), error);
}
