// SPDX-License-Identifier: Apache-2.0
/* Removes the accounts of people from the mounted guest: their lines in all tables, and their homes. */
#include "guest/seal_text.h"
#include "guest/seal_work.h"

/* Which text edit takes a user out of which table. */
static const struct {
    const char *path;
    char *(*drop)(const char *text, const char *user);
} TABLES[] = {
    {"/etc/passwd", seal_text_drop_user},  {"/etc/shadow", seal_text_drop_user},
    {"/etc/subuid", seal_text_drop_user},  {"/etc/subgid", seal_text_drop_user},
    {"/etc/group", seal_text_drop_member}, {"/etc/gshadow", seal_text_drop_member},
};

static bool
edit_table(const SealWork *work, unsigned number, const GPtrArray *accounts, GError **error)
{
    const char *path = TABLES[number].path;
    g_autofree char *old = appliance_read(work->visit->g, path, work->visit->label, error);
    g_autofree char *new = g_strdup(old);

    if (old == NULL)
        return false;
    for (unsigned i = 0; i < accounts->len; i++) {
        g_autofree char *text = new;

        new = TABLES[number].drop(text, ((SealAccount *)accounts->pdata[i])->name);
    }
    return seal_rewrite(work, seal_row("user-account"), path, old, new, error);
}

bool
seal_accounts(const SealWork *work, GError **error)
{
    Appliance *g = work->visit->g;
    const char *label = work->visit->label;
    g_autofree char *passwd = appliance_read(g, "/etc/passwd", label, error);
    g_autofree char *defaults = passwd != NULL ? appliance_read(g, "/etc/login.defs", label, error) : NULL;
    g_autoptr(GPtrArray) accounts = NULL;

    if (defaults == NULL)
        return false;
    accounts =
        seal_text_accounts(passwd, defaults, work->job->keep_accounts, work->job->remove_accounts, error);
    if (accounts == NULL) {
        g_prefix_error(error, "%s: ", label);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(TABLES) && accounts->len > 0; i++)
        if (!edit_table(work, i, accounts, error))
            return false;
    for (unsigned i = 0; i < accounts->len; i++) {
        const SealAccount *account = accounts->pdata[i];

        if (account->home != NULL && guestfs_is_dir(g, account->home) == 1 &&
            !seal_remove(work, seal_row("user-account"), account->home, true, 0, error))
            return false;
    }
    return true;
}
