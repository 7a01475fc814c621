// SPDX-License-Identifier: Apache-2.0
/* Pins from repod.conf or from the notes that publishing keeps. keys.asc is never a source of trust. */
#include "repod/pins.h"

#include "base/json.h"
#include "sign/sign.h"

#define NOTES "repo.json" /* of publish/repo.c */
#define MAX_NOTES (1u << 20)

static char *
read_notes(Store *store, GError **error)
{
    g_autoptr(GBytes) bytes = store_read_private(store, NOTES, MAX_NOTES, error);
    g_autoptr(Json) json = NULL;
    const char *fingerprint;

    if (bytes == NULL)
        return NULL;
    json = json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), NOTES, error);
    if (json == NULL)
        return NULL;
    fingerprint = json_get_text(json, "fingerprint");
    if (fingerprint == NULL) {
        error_set(error, NOTES ": names no fingerprint");
        return NULL;
    }
    return sign_normal_fingerprint(fingerprint, error);
}

char **
pins_read(const ConfigSite *site, Store *store, GError **error)
{
    char **pins;
    char *fingerprint;

    if (site->fingerprints != NULL)
        return g_strdupv(site->fingerprints);
    fingerprint = read_notes(store, error);
    if (fingerprint == NULL) {
        g_prefix_error(
            error, "which key signs it is not known (set 'fingerprints' of [repository %s] in repod.conf): ",
            site->name);
        return NULL;
    }
    pins = g_new0(char *, 2);
    pins[0] = fingerprint;
    return pins;
}
