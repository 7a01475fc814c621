// SPDX-License-Identifier: Apache-2.0
/* Pins from repod.conf or from the notes that publishing keeps. keys.asc is never a source of trust. */
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
