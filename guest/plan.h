// SPDX-License-Identifier: Apache-2.0
/* Decides what to do to a guest's files for a GuestEdit, before any appliance starts. Pure. */
#pragma once

#include "guest/guest.h"

typedef enum {
    PLAN_WRITE,        /* the file holds @text */
    PLAN_REPLACE,      /* the same where the file is there; else nothing */
    PLAN_LINK,         /* where @path is there, it becomes a symbolic link to @text */
    PLAN_ENABLE,       /* @path becomes a symbolic link to @text, its folder is made */
    PLAN_REMOVE,       /* every file that matches the pattern @path */
    PLAN_HOSTS_NAME,   /* edit hosts(5) @path: from the name @text to @value */
    PLAN_SET_VARIABLE, /* edit @path: @text=@value */
    PLAN_SSH_KEYS,     /* authorized_keys of user @text */
    PLAN_PASSWORD,     /* user @text gets the password hash @value */
} PlanKind;

typedef struct {
    PlanKind kind;
    const char *what; /* for messages: "set the host name" */
    char *path;
    char *text;
    char *value;
} PlanOp;

/** Plan: the operations in order. */
typedef struct {
    GPtrArray *ops;              /* (element-type PlanOp) */
    const char *const *ssh_keys; /* borrowed from the edit */
} Plan;
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
