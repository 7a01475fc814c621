// SPDX-License-Identifier: Apache-2.0
/* Becoming somebody with fewer rights. */
#include "repod/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Only before there is a second thread: getpwnam() has one buffer for all. */
static const struct passwd *
find(const char *user, GError **error)
{
    const struct passwd *found = getpwnam(user);

    if (found == NULL)
        error_set_code(error, BASE_ERROR_USAGE, "user '%s': there is none of this name", user);
    return found;
}

bool
privileges_check(const char *user, GError **error)
{
    return find(user, error) != NULL;
}

static bool
become(const char *user, GError **error)
{
    const struct passwd *found = find(user, error);

    if (found == NULL)
        return false;
    if (geteuid() != 0)
        return found->pw_uid == geteuid() ||
               error_set(error, "user '%s': only root can become another user", user);
    if (initgroups(user, found->pw_gid) < 0 || setresgid(found->pw_gid, found->pw_gid, found->pw_gid) < 0 ||
        setresuid(found->pw_uid, found->pw_uid, found->pw_uid) < 0)
        return error_set_errno(error, "user '%s'", user);
    /* A kernel or container in which that was not for good must not go unnoticed. */
    return found->pw_uid == 0 || setuid(0) < 0 ||
           error_set(error, "user '%s': the rights of root could not be given up", user);
}

bool
privileges_drop(const char *user, GError **error)
{
    if (user != NULL && !become(user, error))
        return false;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ||
           error_set_errno(error, "cannot forbid new privileges");
}
