// SPDX-License-Identifier: Apache-2.0
/* Decides what to do to a guest's files for a GuestEdit, before any appliance starts. Pure. */
#pragma once

#include "guest/ops.h"

typedef enum {
    PLAN_WRITE,        /* the file holds @text */
    PLAN_REPLACE,      /* the same where the file is there; else nothing */
    PLAN_LINK,         /* where @path is there, it becomes a symbolic link to @text */
    PLAN_ENABLE,       /* @path becomes a symbolic link to @text, its folder is made */
    PLAN_REMOVE,       /* every file that matches the pattern @path */
    PLAN_HOSTS_NAME,   /* edit hosts(5) @path: from the name @text to @value */
    PLAN_SET_VARIABLE, /* edit @path: @text=@value */
    PLAN_SSH_KEYS,     /* authorized_keys of user @text, gets the lines of @value */
    PLAN_PASSWORD,     /* user @text gets the password hash @value */
    PLAN_EXPECT,       /* @path is there, or it is an error */
    PLAN_SYMLINK,      /* @path becomes a symbolic link to @text, whatever was there */
    PLAN_APPEND_LINE,  /* the file @path ends with the line @text */
    PLAN_CHMOD,        /* @path gets the permissions @number[0] */
    PLAN_CHOWN,        /* @path gets the user @number[0] and the group @number[1] */
    PLAN_COPY,         /* @path, with all it holds, is copied to @text */
    PLAN_COPY_IN,      /* @text of this host into the folder @path */
    PLAN_COPY_OUT,     /* @path into the folder @text of this host */
    PLAN_DELETE,       /* what matches the pattern @path, which must not be "/" */
    PLAN_EDIT,         /* the Perl expression @text on each line of @path */
    PLAN_MKDIR,        /* the folder @path and those above it */
    PLAN_MOVE,         /* @path to @text */
    PLAN_SCRUB,        /* @path is overwritten and removed */
    PLAN_TAR_IN,       /* the archive @text of this host into the folder @path */
    PLAN_TOUCH,        /* @path */
    PLAN_TRUNCATE,     /* @path */
    PLAN_TRUNCATE_ALL, /* the files below @path */
    PLAN_UPLOAD,       /* the file @text of this host to the file or into the folder @path */
    PLAN_RUN,          /* the script @text, now; @value says in short what it is */
    PLAN_FIRSTBOOT,    /* the script @text, when the guest boots the next time; @value is for its name */
} PlanKind;

typedef enum { FAMILY_OTHER, FAMILY_DEBIAN, FAMILY_OLD_REDHAT, FAMILY_SUSE } PlanFamily;

typedef struct {
    PlanKind kind;
    const char *what; /* for messages: "set the host name" */
    char *path;
    char *text;
    char *value;
    unsigned number[2];
} PlanOp;

/** PlanPassword: a random one that was made for this guest, which somebody must be told. */
typedef struct {
    char *user, *password;
} PlanPassword;

/** Plan: the operations in order. */
typedef struct {
    GPtrArray *ops;       /* (element-type PlanOp) */
    GPtrArray *passwords; /* (element-type PlanPassword) */
} Plan;
Plan *plan_new(void);
void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)

/**
 * plan_check: whether the edit's host name (RFC 1123, at most 64 bytes), user, keys and password can be used at
 * all. Errors: BASE_ERROR_USAGE
 */
bool plan_check(const GuestEdit *edit, GError **error);

/**
 * plan_make: what @edit means for the guest that @info describes.
 * Errors: the guest is not Linux; its libcrypt could not be had
 */
Plan *plan_make(const GuestEdit *edit, const GuestInfo *info, GError **error);

/* ---- for plan_*.c ---- */

/** plan_add: append an operation. Strings are copied, but for @what. Returns: (transfer none) it, to set its numbers. */
PlanOp *plan_add(Plan *plan, PlanKind kind, const char *what, const char *path, const char *text,
                 const char *value);

/** plan_family: distributions that keep things in the same places. */
PlanFamily plan_family(const GuestInfo *info);

/** plan_ops: append what @ops mean, in their order, passwords last. */
bool plan_ops(Plan *plan, const GuestOps *ops, const GuestInfo *info, GError **error);

/** plan_run: append @op, one that runs programs of the guest, now or when it boots. Errors: no known package manager */
bool plan_run(Plan *plan, const GuestOp *op, const GuestInfo *info, GError **error);

/** plan_runs_now: whether @ops (nullable) run programs of the guest in the appliance. */
bool plan_runs_now(const GuestOps *ops);

void plan_hostname(Plan *plan, const char *name, const GuestInfo *info);

/** plan_ssh_keys: @keys: lines. */
void plan_ssh_keys(Plan *plan, const char *user, const char *keys);

/** plan_new_host_keys: see to it that the next boot makes the SSH host keys that are missing. */
void plan_new_host_keys(Plan *plan, const char *what, const GuestInfo *info);

/** plan_fresh_machine_id: each clone makes one of its own. The last thing that is done to a guest. */
void plan_fresh_machine_id(Plan *plan, const char *what);

/** plan_password: the plain text @password, hashed. */
bool plan_password(Plan *plan, const char *what, const char *user, const char *password,
                   const GuestInfo *info, GError **error);
