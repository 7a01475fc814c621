// SPDX-License-Identifier: Apache-2.0
/*
 * Where a repository lives: immutable content-addressed blobs, numbered generations of signed texts, and one
 * atomic switch between generations. A folder for now; what is behind this interface is known to dir.c alone.
 *
 * Two kinds of work: adding blobs, which any number of processes may do at once, and publishing a generation,
 * which one process at a time does between store_lock() and store_unlock(). Readers take no lock.
 */
#pragma once

#include "base/fd.h"

typedef struct Store Store;

/** store_open: the repository at @location, a folder. Errors: BASE_ERROR_NOT_FOUND where there is none. */
Store *store_open(const char *location, GError **error);

/**
 * store_create: the same, made where it is not there yet, and with the lock held. An unfinished one, whose
 * creator was killed before its first generation, is taken up again. Errors: BASE_ERROR_EXISTS where there is
 * a complete repository, or a folder with anything else in it
 */
Store *store_create(const char *location, GError **error);

/**
 * store_open_target: the repository at @location, or the folder that is there for one to be pushed into: empty, or
 * holding nothing but what an unfinished push left. Errors: BASE_ERROR_EXISTS where there is something else
 */
Store *store_open_target(const char *location, GError **error);

/** store_has_version: whether anything has been published yet. */
bool store_has_version(const Store *store);

void store_free(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_free)

/** store_location: what messages call it. Borrowed. */
const char *store_location(const Store *store);

/**
 * store_lock: become the one publisher here, and remove what killed ones left behind.
 * @wait: whether to wait for another publisher; else BASE_ERROR_EXISTS, "another virt-depot is publishing
 * here"
 */
bool store_lock(Store *store, bool wait, GError **error);
void store_unlock(Store *store);

/** StoreUpload: a blob in the making, under a name that nobody serves; gone after _clear() or a kill -9. */
typedef struct {
    char *path;
    Fd fd; /* write the content here */
} StoreUpload;
#define STORE_UPLOAD_NONE ((StoreUpload){NULL, -1})
void store_upload_clear(StoreUpload *upload);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StoreUpload, store_upload_clear)

/** store_upload_begin: an empty upload. Takes the lock for a moment, unless this process holds it. */
bool store_upload_begin(Store *store, StoreUpload *out_upload, GError **error);

/**
 * store_upload_finish: make the content durable as the blob @sha512 (the caller's word, lower-case hex) and
 * clear
 * @upload. That the blob is there already is success.
 * @out_path: (transfer full) the blob relative to the repository: "blobs/sha512/ab/..."
 */
bool store_upload_finish(Store *store, StoreUpload *upload, const char *sha512, char **out_path,
                         GError **error);

/*
 * Parts: uploads that go on after the end of a connection or process. Never served, named by what they are to become.
 */

/** store_part_path: (transfer full) where the part of @sha512 is, relative to the repository. */
char *store_part_path(const char *sha512);

/**
 * store_part_open: the part of @sha512 (lower-case hex), made where it is not there yet. store_upload_finish() makes it a
 * blob, store_part_close() keeps it for later, store_upload_clear() removes it.
 * Errors: BASE_ERROR_EXISTS where somebody else is writing it
 */
bool store_part_open(Store *store, const char *sha512, StoreUpload *out_part, GError **error);

/** store_part_close: keep what was written. */
void store_part_close(StoreUpload *part);

/** store_part_sweep: remove the parts that nobody has written to since @before (unix seconds). @out_bytes: (nullable) of
 * those that stay. */
bool store_part_sweep(Store *store, int64_t before, uint64_t *out_bytes, GError **error);

/** StoreText: one signed text of a generation. */
typedef struct {
    const char *name; /* "index", "index.asc", "index.sig", "keys.asc"; borrowed */
    GBytes *content;  /* owned */
} StoreText;
void store_text_clear(StoreText *text);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StoreText, store_text_clear)

#define STORE_MAX_PUSH (64u << 20) /* twice an index of 2400 entries with 10 KB each, and signatures */
#define STORE_PUSH_TYPE "application/vnd.virt-depot.texts"

/**
 * store_texts_print: (transfer full) the texts of a generation as one message: "virt-depot-texts 1", then for each
 * "NAME SIZE", its bytes and a line end.
 */
GBytes *store_texts_print(const StoreText *texts, size_t n_texts);

#define STORE_MAX_TEXTS 6u

/**
 * store_texts_parse: what store_texts_print() made of index, index.asc, index.sig, keys.asc, and perhaps trust and
 * trust.sig, in this order and with nothing else. Pure.
 * @out_texts: cleared by the caller
 */
bool store_texts_parse(GBytes *message, StoreText out_texts[STORE_MAX_TEXTS], size_t *out_n_texts,
                       GError **error);

/**
 * store_publish: write generation @version and switch to it: readers see all the old texts or all the new
 * ones. The lock must be held. Older generations stay until store_remove_generation().
 * @version: greater than that of the current generation
 */
bool store_publish(Store *store, uint64_t version, const StoreText *texts, size_t n_texts, GError **error);

/** StoreLink: a file that a generation shows under a name of its own. Borrowed strings. */
typedef struct {
    const char *name; /* relative, as store_is_link_name() takes it */
    const char *blob; /* "blobs/sha512/ab/HEX" */
} StoreLink;

/**
 * store_is_link_name: whether @name can be shown beside the texts (pure): parts of up to 255 bytes that are not empty and do
 * not start with a dot, no control character, and the first part is no name that a repository has of its own.
 */
bool store_is_link_name(const char *name);

/**
 * store_publish_links: store_publish() of a version with files that have names of their own. They change with the same
 * switch as the texts: both are links through "current".
 * Errors: two names of which one is a folder of the other
 */
bool store_publish_links(Store *store, uint64_t version, const StoreText *texts, size_t n_texts,
                         const StoreLink *links, size_t n_links, GError **error);

/** store_add_links: the blobs that the names of generation @version lead to, into the table @links: name -> blob's path. */
bool store_add_links(Store *store, uint64_t version, GHashTable *links, GError **error);

/** store_remove_link: the current generation has the file @name no more. The lock must be held. */
bool store_remove_link(Store *store, const char *name, GError **error);

/** store_sweep_links: remove names at the top that the current generation has no more. The lock must be held. */
bool store_sweep_links(Store *store, GError **error);

/**
 * store_read_texts: the content of each of @texts, by its name, all from one and the same generation. Needs
 * no lock.
 * @out_version: (nullable) the generation's number
 */
bool store_read_texts(Store *store, StoreText *texts, size_t n_texts, size_t max_bytes, uint64_t *out_version,
                      GError **error);

/** StoreGeneration: one version that is or was current. */
typedef struct {
    uint64_t version;
    int64_t written; /* unix seconds */
} StoreGeneration;

/** store_list_generations: (element-type StoreGeneration) what is kept, oldest first; the last is current. */
GArray *store_list_generations(Store *store, GError **error);

/** store_read_generation: store_read_texts() of one version. Errors: BASE_ERROR_NOT_FOUND */
bool store_read_generation(Store *store, uint64_t version, StoreText *texts, size_t n_texts, size_t max_bytes,
                           GError **error);

/** store_remove_generation: forget an old version. The lock must be held. Refused for the current one. */
bool store_remove_generation(Store *store, uint64_t version, GError **error);

/** StoreBlob: a stored file. */
typedef struct {
    char *path; /* relative to the repository: "blobs/sha512/ab/..." */
    uint64_t size;
    int64_t written; /* unix seconds */
} StoreBlob;
void store_blob_free(StoreBlob *blob);

/** store_list_blobs: (element-type StoreBlob) sorted by path. Other files among the blobs are not listed. */
GPtrArray *store_list_blobs(Store *store, GError **error);

/** store_is_blob: whether @path has the form "blobs/sha512/ab/HEX" (pure). */
bool store_is_blob(const char *path);

/** store_open_blob: an owned descriptor for reading, or -1; nothing outside of the repository is reached. */
int store_open_blob(Store *store, const char *path, GError **error);

/** store_remove_blob: the lock must be held; that it is not there is success. */
bool store_remove_blob(Store *store, const char *path, GError **error);

/**
 * store_check_links: whether each of the current generation's texts can be read by its name at the top.
 * @fix: make the ones that are missing or wrong; the lock must be held
 * @out_broken: (element-type utf8) (transfer full): names that were missing or wrong
 */
bool store_check_links(Store *store, bool fix, GPtrArray **out_broken, GError **error);

/** StoreNotes: who a repository is, as its publisher or the server that it is pushed to noted it. */
typedef struct {
    char *repo_id;       /* UUID */
    char *fingerprint;   /* of the primary key that signs, normal; NULL: none yet */
    unsigned key_number; /* 1, and one more for each primary key that replaced it */
} StoreNotes;
void store_notes_clear(StoreNotes *notes);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StoreNotes, store_notes_clear)

/** store_notes_read: Errors: BASE_ERROR_NOT_FOUND where there are none */
bool store_notes_read(Store *store, StoreNotes *out_notes, GError **error);

/** store_notes_write: replace them. The lock must be held. */
bool store_notes_write(Store *store, const StoreNotes *notes, GError **error);

/** store_read_private: (transfer full) the file @name of the publisher's own notes, never served; NULL with
 * NOT_FOUND where there are none. */
GBytes *store_read_private(Store *store, const char *name, size_t max_bytes, GError **error);

/** store_write_private: replace it. The lock must be held. */
bool store_write_private(Store *store, const char *name, const void *data, size_t size, GError **error);

#define STORE_MIRROR_NOTES "mirror.json" /* what `mirror` notes of a copy that keeps its source's texts */

/** store_may_be_mirror: whether it is such a copy, or this user is not allowed to see whether it is. */
bool store_may_be_mirror(const Store *store);

/** store_sweep_private: remove the publisher's notes whose names start with @prefix and are not in the set @keep. The lock
 * must be held. */
bool store_sweep_private(Store *store, const char *prefix, GHashTable *keep, GError **error);
