// SPDX-License-Identifier: Apache-2.0
/* Files below path_state()/trust. */
#include "fetch/trust_state.h"

#include "base/file.h"
#include "base/paths.h"

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
