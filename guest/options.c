// SPDX-License-Identifier: Apache-2.0
/*
 * The operations on guests as options of a verb, for all verbs that take them. GOption calls back in the order of the command
 * line, which is the order in which they are carried out.
 */
#include "guest/ops.h"

#define COMMANDS "commands-from-file"

static GuestOps *collected;

static gboolean
collect(const char *option, const char *value, gpointer data G_GNUC_UNUSED, GError **error)
{
    const char *name = option + 2; /* always the long name, with its dashes: there are no short ones */

    if (collected == NULL)
        collected = guest_ops_new();
    if (g_str_equal(name, COMMANDS))
        return guest_ops_add_file(collected, value, error);
    return guest_ops_add(collected, name, value, error);
}

/* The FILENAME flag has the bytes of the command line passed on as they are. */
static GOptionEntry
entry_of(const OpRow *row)
{
    return (GOptionEntry){
        .long_name = row->name,
        .flags = G_OPTION_FLAG_FILENAME | (row->syntax == OP_NOTHING ? G_OPTION_FLAG_NO_ARG : 0),
        .arg = G_OPTION_ARG_CALLBACK,
        .arg_data = collect,
        .description = row->help,
        .arg_description = row->argument,
    };
}

const GOptionEntry *
guest_option_entries(void)
{
    static const OpRow FROM_FILE = {
        .name = COMMANDS,
        .syntax = OP_TEXT,
        .argument = "FILE",
        .help = "Read operations from a file: on each line a name without dashes and its argument",
    };
    static GOptionEntry *entries; /* made once, for as long as the program runs */

    if (entries == NULL) {
        GArray *list = g_array_new(TRUE, TRUE, sizeof *entries);
        GOptionEntry entry = entry_of(&FROM_FILE);

        g_array_append_val(list, entry);
        for (const OpRow *row = op_rows(); row->name != NULL; row++) {
            entry = entry_of(row);
            g_array_append_val(list, entry);
        }
        entries = (GOptionEntry *)(void *)g_array_free(list, FALSE);
    }
    return entries;
}

GuestOps *
guest_options_take(void)
{
    return collected != NULL ? g_steal_pointer(&collected) : guest_ops_new();
}
