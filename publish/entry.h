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
    const char *os, *os_version;
    const char *root, *root_fs;
    const char *firmware;
    uint64_t revision;
    uint64_t retired_revision; /* the highest of an image of that name that was removed; 0: none */
    bool is_hidden;
    bool drop_twin;     /* leave the zstd twin out, even where the same content has one */
    bool drop_packages; /* leave the list of packages out, even where the same content has one */
} PublishWish;

/* Our extension fields. A value that starts with "blobs/sha512/" refers to a blob of the repository, which must stay there. */
#define PUBLISH_PACKAGES "x_packages"

/** PublishBlob: a blob that goes with an image. */
typedef struct {
    char *path; /* "blobs/sha512/ab/HEX", owned */
    uint64_t size;
} PublishBlob;
void publish_blob_clear(PublishBlob *blob);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishBlob, publish_blob_clear)

/** PublishFile: the published file. Borrowed strings. */
typedef struct {
    const char *file;   /* relative to the index */
    const char *sha512; /* NULL: not known yet (a check before the long work) */
    DiskFormat format;
    uint64_t virtual_size;
    uint64_t compressed_size;
    const PublishBlob *manifest; /* (nullable) */
    const PublishBlob *twin;     /* (nullable) the same image as zstd */
    const PublishBlob *twin_manifest;
    const PublishBlob *packages; /* (nullable): none, or the one that the same content has already */
    const IndexDelta *deltas;
    unsigned n_deltas;
    const GArray *steps; /* (nullable) (element-type IndexDelta) that lead to bases of @deltas */
} PublishFile;

/** publish_entry_arch: the architecture to publish under; borrowed. USAGE where neither source says. */
const char *publish_entry_arch(const PublishWish *wish, const GuestInfo *guest, GError **error);

/**
 * publish_entry_new: the entry that replaces or joins those in @index. What neither the command line nor the
 * inspection says is kept from the entry before, except "hidden", and what refers to blobs of other content. The revision grows by one with the content,
 * and stays where the content is the same.
 * @guest: (nullable)
 * Errors: USAGE for a name or revision that cannot be
 */
IndexEntry *publish_entry_new(const Index *index, const PublishWish *wish, const GuestInfo *guest,
                              const PublishFile *file, GError **error);

/** publish_entry_lookup: (nullable) the entry that an image of that name and architecture would replace. Borrowed. */
const IndexEntry *publish_entry_lookup(const Index *index, const char *name, const char *arch);

/** publish_entry_check_room: whether stock clients can read that many entries. */
bool publish_entry_check_room(const Index *index, GError **error);

/** publish_entry_put: (transfer full) @entry into @index, in place of the one with its name and architecture.
 */
void publish_entry_put(Index *index, IndexEntry *entry);
