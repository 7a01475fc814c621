// SPDX-License-Identifier: Apache-2.0
/* Operations as a reader sees them before they are carried out: secrets are left out, and what only the guest can decide is told. */
#include "guest/ops.h"

/* What differs between guests; NULL: nothing does. */
static const char *
left_to_guest(const GuestOp *op)
{
    switch (op->row->kind) {
    case OP_DROP_HOST_KEYS:
        return "what makes new ones at the next boot depends on the distribution";
    case OP_EDIT:
        return "by the guest's perl where it has one";
    case OP_FIRSTBOOT:
    case OP_FIRSTBOOT_COMMAND:
        return "by the guest's init";
    case OP_FIRSTBOOT_INSTALL:
    case OP_INSTALL:
    case OP_UNINSTALL:
    case OP_UPDATE:
        return "by the guest's package manager";
    case OP_HOSTNAME:
    case OP_KEYBOARD:
        return "in the file where the distribution keeps it";
    case OP_PASSWORD:
    case OP_ROOT_PASSWORD:
        return op->password == OP_PASSWORD_DISABLED ? NULL : "hashed as the guest knows it";
    case OP_SSH_INJECT:
        return "in the home folder of the guest's user";
    case OP_TIMEZONE:
        return "if the guest knows it";
    default:
        return NULL;
    }
}

static char *
password_words(const GuestOp *op)
{
    static const char *const WORDS[] = {
        [OP_PASSWORD_GIVEN] = "given", [OP_PASSWORD_RANDOM] = "random", [OP_PASSWORD_DISABLED] = "disabled"};
    const char *user = op->row->kind == OP_ROOT_PASSWORD ? "root" : op->first;

    return g_strdup_printf("%s: %s%s", user, op->is_locked ? "locked, " : "", WORDS[op->password]);
}

static char *
keys_words(const GuestOp *op)
{
    g_auto(GStrv) keys = g_strsplit(op->content, "\n", -1);

    return g_strdup_printf("%s: %u SSH key(s)", op->first, g_strv_length(keys));
}

/* (transfer full) (nullable) */
static char *
argument_words(const GuestOp *op)
{
    g_autofree char *items = NULL;

    switch (op->row->syntax) {
    case OP_NOTHING:
        return NULL;
    case OP_TEXT:
        return op->row->kind == OP_ROOT_PASSWORD ? password_words(op) : g_strdup(op->first);
    case OP_OPTIONAL:
        return keys_words(op);
    case OP_PAIR:
        return op->row->kind == OP_PASSWORD ? password_words(op)
                                            : g_strdup_printf("%s: %s", op->first, op->second);
    case OP_LIST:
        return g_strjoinv(",", op->items);
    case OP_COLONS:
        items = g_strjoinv(":", op->items);
        return g_strdup_printf("%s: %s", op->first, items);
    case OP_THREE:
        return g_strdup_printf("%s:%s: %s", op->first, op->second, op->items[0]);
    }
    g_assert_not_reached();
}

GPtrArray *
guest_ops_describe(const GuestOps *ops)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)guest_op_text_free);

    for (unsigned i = 0; i < ops->ops->len; i++) {
        const GuestOp *op = ops->ops->pdata[i];
        GuestOpText *line = g_new0(GuestOpText, 1);

        line->name = op->row->name;
        line->argument = argument_words(op);
        line->left_to_guest = left_to_guest(op);
        g_ptr_array_add(lines, line);
    }
    return lines;
}

void
guest_op_text_free(GuestOpText *text)
{
    g_free(text->argument);
    g_free(text);
}
