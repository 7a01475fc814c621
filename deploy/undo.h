// SPDX-License-Identifier: Apache-2.0
/* What a deploy records before it makes it, and how each is undone. Private to deploy/. */
#pragma once

#include "base/journal.h"
#include "deploy/host.h"

/** Undo: the context of deploy_undo_action(). */
typedef struct {
    Host *host; /* (nullable) a connection to @uri, borrowed */
    const char *uri;
} Undo;

/** deploy_undo_record_folder: @path, a staging folder of our own with a random name, and all that is in it. */
void deploy_undo_record_folder(Journal *journal, const char *path);

/** deploy_undo_record_move: the file @from, which will be renamed to @to: it is known again by what it is, not its name. */
bool deploy_undo_record_move(Journal *journal, const char *from, const char *to, GError **error);

/** deploy_undo_record_domain: the domain that will get @uuid at @uri. */
void deploy_undo_record_domain(Journal *journal, const char *uuid, const char *uri);

/** deploy_undo_action: a JournalUndo; @context is an Undo. */
bool deploy_undo_action(const char *action, const char *argument, void *context, GError **error);
