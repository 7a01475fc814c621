// SPDX-License-Identifier: Apache-2.0
/*
 * The catalogue: virt-builder's index text and its model. Pure: bytes in, model out; no file, network or key
 * is touched here. The grammar that is written is the old one (virt-builder up to 1.55.5); both are read.
 */
#pragma once

#include "base/finding.h"

#include <stdint.h>

#define INDEX_MAX_BYTES                                                                                      \
    (96u << 20) /* 100,000 entries with every field, manifest and package list: 1,000 bytes each */
#define INDEX_MAX_ENTRIES                                                                                    \
    200000u /* together with the next: at most some 600 MB in memory, whatever the text */
#define INDEX_MAX_ALL_FIELDS 4000000u /* of all entries: twenty each */
#define INDEX_MAX_PRINT_ENTRIES 2400u /* the old grammar's parser stops at 2499 sections */
#define INDEX_MAX_FIELDS 9995u        /* of one section: what the old grammar's parser can take */
#define INDEX_MAX_PROBLEMS 200u       /* reported; a hostile text has one in every second byte */
#define INDEX_MAX_NAME 200u           /* bytes in an image's name; the longest real one has 27 */

/* The extension field that names the manifest of an entry's file: "blobs/sha512/ab/HEX", beside the index. */
#define INDEX_MANIFEST "x_manifest"
/* The same image as zstd, block by block, with "_size" bytes, and its manifest. */
#define INDEX_ZSTD "x_zstd"
#define INDEX_ZSTD_MANIFEST "x_zstd_manifest"
/* And a delta's: followed by the base's revision; with "_base" after it, the SHA-512 of the base's file, with "_size" bytes. */
#define INDEX_DELTA "x_delta_"
/* And one that an earlier revision had, to itself: with "_to" after it, the SHA-512 of that revision's file. */
#define INDEX_STEP "x_step_"

typedef struct {
    char *language; /* "" for the default */
    char *text;     /* paragraphs separated by an empty line */
} IndexNote;

typedef struct {
    char *key;    /* [A-Za-z0-9_.]+ */
    char *subkey; /* NULL for none */
    char *value;
} IndexField;

/** IndexEntry: one image. Strings are NULL where the field is absent; sizes are bytes. */
typedef struct {
    char *name;  /* the section: what the user types; [-A-Za-z0-9._]+ */
    char *title; /* name= */
    char *osinfo;
    char *arch; /* as virt-builder normalises it (i386, x86_64, aarch64, ppc64le ...) */
    char *file; /* relative to the index, never absolute, no "..", no scheme */
    char *sig;
    char *sha512; /* lower-case hex over the file as published */
    char *sha256;
    uint64_t revision;        /* 1 where absent */
    char *format;             /* "raw", "qcow2" or NULL */
    uint64_t size;            /* virtual size; 0: unknown until it was pulled (simplestreams alone) */
    uint64_t compressed_size; /* 0: not stated */
    char *expand;
    char *lvexpand;
    GPtrArray *notes; /* (element-type IndexNote) */
    char **aliases;   /* (nullable) */
    bool is_hidden;
    GPtrArray *extensions; /* (element-type IndexField) fields unknown to virt-builder, in file order */
    unsigned line;         /* of the section in the text that it was parsed from; 0: made here */
} IndexEntry;

/** index_entry_new: every field absent, revision 1, empty notes and extensions. */
IndexEntry *index_entry_new(void);
void index_entry_free(IndexEntry *entry);
IndexEntry *index_entry_copy(const IndexEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IndexEntry, index_entry_free)

/** Index: entries and the header comments of the signed text ("# repo-id: ..."). */
typedef struct {
    char *repo_id;    /* UUID or NULL: written by other tools */
    uint64_t version; /* 0: not stated */
    int64_t created;  /* unix seconds; 0: not stated */
    int64_t expires;
    GPtrArray *entries; /* (element-type IndexEntry) in file order */
} Index;

Index *index_new(void);
void index_free(Index *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Index, index_free)

typedef struct {
    unsigned line; /* from 1; 0: the whole file */
    char *message; /* without file and line */
} IndexProblem;
void index_problem_free(IndexProblem *problem);

/** index_is_name: whether @name can be an image's name: [-A-Za-z0-9._]+, not starting with '-' or '.'. */
bool index_is_name(const char *name);

/**
 * index_parse:
 * @text: index text that sign_verify() returned, without any armour; at most INDEX_MAX_BYTES bytes
 * @source: name for errors, usually the URL
 * @out_problems: (element-type IndexProblem) (transfer full) (nullable): one per refused entry or skipped
 * line, in file order, at most INDEX_MAX_PROBLEMS
 *
 * Parse a whole index: both grammars, CRLF, BOM, no final newline, and text whose trailing blanks a cleartext
 * signature dropped. Every entry returned passes index_entry_validate(), and no two share name and
 * architecture; a bad one is left out and described in @out_problems. Numbers are plain decimal digits. Takes
 * linear time.
 *
 * Returns: (transfer full) the index, or NULL with @error set (too large, too many entries or fields, NUL bytes)
 * Source: virt-builder(1) "Formal specification of the index file"
 */
Index *index_parse(GBytes *text, const char *source, GPtrArray **out_problems, GError **error);

/**
 * index_body: (transfer full) the text inside a clear-signed @file, with dashes unescaped and NOT verified; @file
 * itself where it has no such armour. For unsigned sources and for checks alone.
 * @out_lines: (nullable) how many lines of @file come before it
 */
GBytes *index_body(GBytes *file, unsigned *out_lines);

/** index_is_same_text: whether both say the same, apart from blanks at the ends of lines and line ends at the end, which a
 * cleartext signature does not cover. */
bool index_is_same_text(GBytes *first, GBytes *second);

/**
 * index_check: add to @findings (element-type Finding) what is wrong with an index, sorted by line: index_parse()'s
 * problems are errors. With @is_strict also what stock virt-builder up to 1.55.5 refuses or misreads although
 * index_parse() takes it: warnings.
 * @file: as a server sends it: stock clients parse it with its armour
 * @text: (nullable) what its signature covers; NULL: index_body() of @file
 * @path: of the findings
 * Returns: (transfer full) (nullable) what index_parse() made of it
 */
Index *index_check(GBytes *file, GBytes *text, const char *path, bool is_strict, GPtrArray *findings);

/**
 * index_print: canonical text in the old grammar: LF, header comments first, exactly one blank line between
 * sections, a final blank line. Blanks at line ends and newlines at the end of a value, which a cleartext
 * signature would not cover, are dropped; apart from them parse(print(x)) equals x.
 * Errors: more than INDEX_MAX_PRINT_ENTRIES entries; a field that the grammar cannot carry
 */
char *index_print(const Index *index, GError **error);

/**
 * index_entry_validate: required fields (name, arch, file, size), characters, ranges. The checksum is not
 * required here: old repositories have detached signatures instead.
 */
bool index_entry_validate(const IndexEntry *entry, GError **error);

/** index_lookup: (nullable) the entry with that name, else alias, and architecture; highest revision.
 * Borrowed. */
const IndexEntry *index_lookup(const Index *index, const char *name, const char *arch);

/** IndexDelta: a file that makes an image out of an earlier revision. Borrowed strings. */
typedef struct {
    uint64_t revision;       /* of the base */
    const char *base_sha512; /* of the base's file */
    const char *to_sha512;   /* of the file of the image that it makes */
    const char *file;        /* beside the index */
    uint64_t size;           /* bytes */
} IndexDelta;

/** index_delta_parse: the delta whose base the extension field @field of @entry names; false where it names none. */
bool index_delta_parse(const IndexEntry *entry, const IndexField *field, IndexDelta *out_delta);

/** index_delta_set: add or replace the fields of one delta to @entry's own image. */
void index_delta_set(IndexEntry *entry, const IndexDelta *delta);

/** index_step_parse, index_step_set: the same for a delta between two earlier revisions: a step on the way. */
bool index_step_parse(const IndexEntry *entry, const IndexField *field, IndexDelta *out_delta);
void index_step_set(IndexEntry *entry, const IndexDelta *delta);

/** index_entry_extension: (nullable) an extension field's value (the one without a subkey). */
const char *index_entry_extension(const IndexEntry *entry, const char *key);
/** index_entry_set_extension: add or replace; a NULL @value removes it. */
void index_entry_set_extension(IndexEntry *entry, const char *key, const char *value);

/** index_entry_put_json: every field into the object @json; null where the entry does not say. */
void index_entry_put_json(const IndexEntry *entry, Json *json);

/**
 * index_entry_note: (nullable) the note in the first of @languages (NULL-terminated; "" is the default) that
 * there is one in; else the default note, else any.
 */
const char *index_entry_note(const IndexEntry *entry, const char *const *languages);

#define INDEX_MAX_STREAMS_BYTES                                                                              \
    (16u << 20)                     /* of one file; the largest of Ubuntu and linuxcontainers have 4 MB */
#define INDEX_MAX_STREAMS_FILES 32u /* of products; real ones have 1 to 4 with images */
#define INDEX_MAX_STREAMS_PRODUCTS 20000u /* of one file */

/**
 * index_streams_paths: (transfer full) the product files with images that a simplestreams index names, relative to the
 * folder that holds streams/.
 * @text: streams/v1/index.json, or the signed text of index.sjson; at most INDEX_MAX_STREAMS_BYTES
 * Errors: not JSON, not an index, more than INDEX_MAX_STREAMS_FILES, a path that leaves the folder
 * Source: https://canonical-simplestreams.readthedocs-hosted.com/, and what incus and Ubuntu serve
 */
char **index_streams_paths(GBytes *text, const char *source, GError **error);

/**
 * index_streams_add: the images of a file of products into @index: of each product the newest version that has a disk
 * image. An entry's name is made of what the product says of itself, pubname and aliases are aliases; @size is 0, since
 * the format does not state it; @file is relative to the folder that holds streams/; extension fields x_product and
 * x_version say where it comes from.
 * @problems: (element-type IndexProblem) one per product that is left out though it seems to have an image
 * Errors: not JSON, not a file of products, more than INDEX_MAX_STREAMS_PRODUCTS
 */
bool index_streams_add(GBytes *text, const char *source, Index *index, GPtrArray *problems, GError **error);

#define INDEX_MAX_CONF_BYTES (1u << 20) /* of a repos.d file: some hundred bytes per source in real ones */
#define INDEX_MAX_CONFS 1000u           /* of one file */

/** IndexConf: one source in a repos.d file of virt-builder, as it stands there. Strings are NULL where absent. */
typedef struct {
    unsigned line;
    char *id; /* [-A-Za-z0-9._]+ */
    char *uri;
    char *gpgkey;
    char *proxy;
    char *format;
} IndexConf;
void index_conf_free(IndexConf *conf);

/**
 * index_conf_parse: (element-type IndexConf) the sources in a file of virt-builder's repos.d, in file order. Of
 * sections with one id the last counts, as there. Unknown keys are ignored.
 * @out_problems: as for index_parse(); a section without 'uri' is one and is left out
 * Errors: too large, NUL bytes
 */
GPtrArray *index_conf_parse(GBytes *text, const char *source, GPtrArray **out_problems, GError **error);

/** index_normal_arch: virt-builder's spelling: i686 -> i386, amd64 -> x86_64, powerpc* -> ppc*; also arm64 ->
 * aarch64. Borrowed: @arch itself where nothing changes, else a constant. */
const char *index_normal_arch(const char *arch);

/** index_version_compare: as strverscmp() would, but for leading zeros: runs of digits by their value. */
int index_version_compare(const char *a, const char *b);
