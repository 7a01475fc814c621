// SPDX-License-Identifier: Apache-2.0
/*
 * What is to be done to a guest, as virt-customize's options say it: names and arguments are the same (customize.1 of
 * libguestfs). One table, OPS, knows them all; plans are made from them (plan.h). Pure but for reading what options name.
 */
#pragma once

#include "guest/guest.h"

typedef enum {
    OP_APPEND_LINE,
    OP_CHMOD,
    OP_CHOWN,
    OP_COPY,
    OP_COPY_IN,
    OP_COPY_OUT,
    OP_DELETE,
    OP_DISABLE_CLOUD_INIT,
    OP_DROP_HOST_KEYS,
    OP_EDIT,
    OP_FIRSTBOOT,
    OP_FIRSTBOOT_COMMAND,
    OP_FIRSTBOOT_INSTALL,
    OP_HOSTNAME,
    OP_INSTALL,
    OP_KEYBOARD,
    OP_LINK,
    OP_MKDIR,
    OP_MOVE,
    OP_PASSWORD,
    OP_ROOT_PASSWORD,
    OP_RUN,
    OP_RUN_COMMAND,
    OP_SCRUB,
    OP_SSH_INJECT,
    OP_TAR_IN,
    OP_TIMEZONE,
    OP_TOUCH,
    OP_TRUNCATE,
    OP_TRUNCATE_RECURSIVE,
    OP_UNINSTALL,
    OP_UPDATE,
    OP_UPLOAD,
    OP_WRITE,
} OpKind;

/* How an argument is taken apart. */
typedef enum {
    OP_NOTHING,  /* no argument */
    OP_TEXT,     /* all of it is @first */
    OP_PAIR,     /* @first:@second, at the first colon */
    OP_OPTIONAL, /* the same, and @second may be missing */
    OP_LIST,     /* items separated by commas, into @items */
    OP_COLONS,   /* FIRST:ITEM[:ITEM...] */
    OP_THREE,    /* @first:@second:ITEM */
} OpSyntax;

typedef struct {
    const char *name; /* "append-line" */
    OpKind kind;
    OpSyntax syntax;
    const char *argument; /* "FILE:LINE", for the help; NULL where there is none */
    const char *what;     /* for messages: "append to a file" */
    const char *help;
} OpRow;

/* What a password selector says beyond @content, the password itself. */
typedef enum { OP_PASSWORD_GIVEN, OP_PASSWORD_RANDOM, OP_PASSWORD_DISABLED } OpPassword;

/** GuestOp: one option as it was given. */
typedef struct {
    const OpRow *row;
    char *first, *second; /* NULL where the syntax has none */
    char **items;         /* NULL-terminated; NULL where the syntax has none */
    /* (nullable) what a file of this host that the option names holds: a script, lines of SSH keys; or a password */
    char *content;
    OpPassword password;
    bool is_locked;     /* the password */
    unsigned number[2]; /* permissions; or user and group */
} GuestOp;

struct GuestOps {
    GPtrArray *ops; /* (element-type GuestOp) */
};

/** op_rows: the table, ordered by name, ended by a row without a name. */
const OpRow *op_rows(void);

/**
 * op_check: everything about @op that can be told without the guest, and read what it names on this host.
 * Errors: BASE_ERROR_USAGE; what is named cannot be read
 */
bool op_check(GuestOp *op, GError **error);
