// SPDX-License-Identifier: Apache-2.0
/* The index entry of an image that is published: from what was asked for, what is inside, and the entry
 * before. Pure. */
#pragma once

#include "guest/guest.h"
#include "index/index.h"

/** PublishWish: what the command line says; NULL and 0 where it says nothing. Borrowed strings. */
typedef struct {
    const char *name;
    const char *title;
    const char *osinfo;
    const char *arch;
    const char *notes;
    const char *expand;
    const char *lvexpand;
    uint64_t revision;
    bool is_hidden;
} PublishWish;

/** PublishFile: the published file. Borrowed strings. */
typedef struct {
    const char *file;   /* relative to the index */
    const char *sha512; /* NULL: not known yet (a check before the long work) */
    DiskFormat format;
    uint64_t virtual_size;
    uint64_t compressed_size;
} PublishFile;

/** publish_entry_arch: the architecture to publish under; borrowed. USAGE where neither source says. */
const char *publish_entry_arch(const PublishWish *wish, const GuestInfo *guest, GError **error);

/**
 * publish_entry_new: the entry that replaces or joins those in @index. What neither the command line nor the
 * inspection says is kept from the entry before, except "hidden". The revision grows by one with the content,
 * and stays where the content is the same.
 * @guest: (nullable)
 * Errors: USAGE for a name or revision that cannot be
 */
IndexEntry *publish_entry_new(const Index *index, const PublishWish *wish, const GuestInfo *guest,
                              const PublishFile *file, GError **error);

/** publish_entry_put: (transfer full) @entry into @index, in place of the one with its name and architecture.
 */
void publish_entry_put(Index *index, IndexEntry *entry);
