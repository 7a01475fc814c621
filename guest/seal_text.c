// SPDX-License-Identifier: Apache-2.0
#include "guest/seal_text.h"

#include <stdlib.h>
#include <string.h>

#define UID_MIN 1000 /* login.defs(5), where it says nothing */
#define UID_MAX 60000

typedef bool (*KeepLine)(char **line, const void *context);

/* filter: the lines of @text that @keep wants, which may also replace them; the last one has no newline more than it had */
static char *
filter(const char *text, KeepLine keep, const void *context)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) kept = g_ptr_array_new();

    for (char **line = lines; *line != NULL; line++)
        if (keep(line, context))
            g_ptr_array_add(kept, *line);
    g_ptr_array_add(kept, NULL);
    return g_strjoinv("\n", (char **)kept->pdata);
}

static bool
starts_otherwise(char **line, const void *context)
{
    const char *const *starts = context;
    const char *text = *line + strspn(*line, " \t");

    for (; *starts != NULL; starts++)
        if (g_str_has_prefix(text, *starts))
            return false;
    return true;
}

char *
seal_text_drop_lines(const char *text, const char *const *starts)
{
    return filter(text, starts_otherwise, starts);
}

/* ---- accounts ---- */

void
seal_account_free(SealAccount *account)
{
    g_free(account->name);
    g_free(account->home);
    g_free(account);
}

static long
login_number(const char *login_defs, const char *key, long fallback)
{
    g_auto(GStrv) lines = g_strsplit(login_defs, "\n", -1);

    for (char **line = lines; *line != NULL; line++)
        if (g_str_has_prefix(*line, key) && strchr(" \t", (*line)[strlen(key)]) != NULL)
            return strtol(*line + strlen(key), NULL, 10);
    return fallback;
}

static bool
is_listed(const char *const *names, const char *name)
{
    return names != NULL && g_strv_contains(names, name);
}

static SealAccount *
account_new(char **field)
{
    SealAccount *account = g_new0(SealAccount, 1);
    const char *home = field[5];

    account->name = g_strdup(field[0]);
    /* A folder of the system's own, such as "/srv", is nobody's home. */
    if (home[0] == '/' && strchr(home + 1, '/') != NULL && !g_str_has_suffix(home, "/") &&
        strstr(home, "/..") == NULL)
        account->home = g_strdup(home);
    return account;
}

static bool
is_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* A home stays in which somebody who stays lives. */
static void
keep_homes_of(const char *home, GPtrArray *accounts)
{
    for (unsigned i = 0; i < accounts->len; i++) {
        SealAccount *account = accounts->pdata[i];

        if (account->home != NULL && is_within(home, account->home))
            g_clear_pointer(&account->home, g_free);
    }
}

static bool
check_all_found(const char *const *remove, const GPtrArray *accounts, GError **error)
{
    for (; remove != NULL && *remove != NULL; remove++) {
        bool is_found = false;

        for (unsigned i = 0; i < accounts->len && !is_found; i++)
            is_found = strcmp(((SealAccount *)accounts->pdata[i])->name, *remove) == 0;
        if (!is_found)
            return error_set(error, "cannot remove the account '%s': it is not one of a person in the guest",
                             *remove);
    }
    return true;
}

GPtrArray *
seal_text_accounts(const char *passwd, const char *login_defs, const char *const *keep,
                   const char *const *remove, GError **error)
{
    g_autoptr(GPtrArray) accounts = g_ptr_array_new_with_free_func((GDestroyNotify)seal_account_free);
    g_autoptr(GPtrArray) stays = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) lines = g_strsplit(passwd, "\n", -1);
    long min = login_number(login_defs, "UID_MIN", UID_MIN);
    long max = login_number(login_defs, "UID_MAX", UID_MAX);

    for (char **line = lines; *line != NULL; line++) {
        g_auto(GStrv) field = g_strsplit(*line, ":", -1);
        long uid;

        if (g_strv_length(field) < 7 || field[0][0] == '\0')
            continue;
        uid = strtol(field[2], NULL, 10);
        if (uid > 0 && uid >= min && uid <= max && !is_listed(keep, field[0]) &&
            (remove == NULL || is_listed(remove, field[0])))
            g_ptr_array_add(accounts, account_new(field));
        else
            g_ptr_array_add(stays, g_strdup(field[5]));
    }
    for (unsigned i = 0; i < stays->len; i++)
        keep_homes_of(stays->pdata[i], accounts);
    if (!check_all_found(remove, accounts, error))
        return NULL;
    return g_steal_pointer(&accounts);
}

static bool
is_of_another(char **line, const void *context)
{
    size_t length = strlen(context);

    return strncmp(*line, context, length) != 0 || (*line)[length] != ':';
}

char *
seal_text_drop_user(const char *text, const char *user)
{
    return filter(text, is_of_another, user);
}

/* drop_name: "a,b,c" without one of the names */
static void
drop_name(char **list, const char *name)
{
    g_auto(GStrv) names = g_strsplit(*list, ",", -1);
    g_autoptr(GPtrArray) kept = g_ptr_array_new();

    for (char **one = names; *one != NULL; one++)
        if (strcmp(*one, name) != 0)
            g_ptr_array_add(kept, *one);
    g_ptr_array_add(kept, NULL);
    g_free(*list);
    *list = g_strjoinv(",", (char **)kept->pdata);
}

/* NAME:PASSWORD:GID-or-ADMINISTRATORS:MEMBERS */
static bool
keep_group(char **line, const void *context)
{
    g_auto(GStrv) field = g_strsplit(*line, ":", -1);
    bool is_own;

    if (g_strv_length(field) != 4)
        return true;
    is_own = strcmp(field[0], context) == 0;
    drop_name(&field[2], context);
    drop_name(&field[3], context);
    if (is_own && field[3][0] == '\0')
        return false;
    g_free(*line);
    *line = g_strjoinv(":", field);
    return true;
}

char *
seal_text_drop_member(const char *text, const char *user)
{
    return filter(text, keep_group, user);
}
