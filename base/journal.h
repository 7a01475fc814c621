// SPDX-License-Identifier: Apache-2.0
/*
 * A journal of intent: what an operation is about to make, written and synced before it makes it, so that a
 * later run can undo what a killed one left behind. An entry is one file, flock()ed by the live process: only
 * the entries of dead processes are ever undone.
 */
#pragma once

#include "base/error.h"

typedef struct Journal Journal;

/**
 * JournalUndo: undo one recorded @action on @argument. It must succeed when there is nothing (more) to undo,
 * and must touch only what this operation made: names in records are unique, or checked (inode, UUID).
 */
typedef bool (*JournalUndo)(const char *action, const char *argument, void *context, GError **error);

/** journal_begin: a new entry for @operation ("deploy") in folder @dir, which is made 0700. NULL on error. */
Journal *journal_begin(const char *dir, const char *operation, GError **error);

/** journal_record: note an action; neither text may hold a newline or tab. Not durable before journal_sync().
 */
void journal_record(Journal *journal, const char *action, const char *argument);

/** journal_sync: make every record so far durable. */
bool journal_sync(Journal *journal, GError **error);

/** journal_commit: the operation is complete and nothing is to be undone: forget the entry. Frees @journal.
 */
bool journal_commit(Journal *journal, GError **error);

/** journal_undo: undo every record, newest first, and forget the entry. Frees @journal. Goes on after a
 * failed undo and keeps the entry then, for the next recovery; the first failure is reported. */
bool journal_undo(Journal *journal, JournalUndo undo, void *context, GError **error);

/**
 * journal_recover: undo the entries of dead processes for @operation in @dir.
 * @out_undone: how many operations were undone
 */
bool journal_recover(const char *dir, const char *operation, JournalUndo undo, void *context,
                     unsigned *out_undone, GError **error);
