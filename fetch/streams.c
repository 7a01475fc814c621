// SPDX-License-Identifier: Apache-2.0
/* The door for simplestreams: fetch, verify, and only then parse, file by file. */
#include "fetch/streams.h"

#include "base/digest.h"
#include "fetch/access.h"
#include "fetch/bundle.h"
#include "fetch/record.h"
#include "fetch/trust_state.h"
#include "sign/sign.h"

#include <string.h>

#define INDEX_SIGNED "streams/v1/index.sjson"
#define INDEX_PLAIN "streams/v1/index.json"
#define MAX_FILE (INDEX_MAX_STREAMS_BYTES + (1u << 20)) /* with its armour */

/* @file's text: what a pinned key signed, or as it is for an unsigned source. Notes the signature in @opened. */
static GBytes *
verified_text(const Source *source, const BundleFile *file, DoorIndex *opened, GError **error)
{
    g_autofree char *url = net_url_join(source->uri, file->path), *verdict = NULL, *leaf = NULL, *id = NULL;
    g_autoptr(SignVerified) verified = NULL;
    SignCheck check = {.keys = source->keys, .pins = (const char *const *)source->pins, .name = url};

    if (source->is_unsigned)
        return index_body(file->body, NULL);
    id = digest_bytes(DIGEST_SHA256, file->path, strlen(file->path));
    leaf = g_strdup_printf("verdict-%s", id);
    check.verdict = verdict = trust_state_path(source->name, leaf);
    verified = sign_verify_clear(file->body, &check, error);
    if (verified == NULL)
        return NULL;
    if (opened->fingerprint == NULL) { /* the index's own is the one to show */
        opened->fingerprint = g_strdup(verified->fingerprint);
        opened->pin = g_strdup(verified->pin);
        opened->signed_at = verified->signed_at;
    }
    if (verified->expires_at > 0 && (opened->sig_expires == 0 || verified->expires_at < opened->sig_expires))
        opened->sig_expires = verified->expires_at;
    return g_bytes_ref(verified->text);
}

static const char *
index_path(const Source *source)
{
    return source->is_unsigned ? INDEX_PLAIN : INDEX_SIGNED;
}

/* The paths that the index in @files, verified, names. */
static char **
product_paths(const Source *source, const GPtrArray *files, DoorIndex *opened, GError **error)
{
    const BundleFile *file = bundle_lookup(files, index_path(source));
    g_autofree char *url = net_url_join(source->uri, index_path(source));
    g_autoptr(GBytes) text = NULL;

    if (file == NULL) {
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: not there", url);
        return NULL;
    }
    text = verified_text(source, file, opened, error);
    return text == NULL ? NULL : index_streams_paths(text, url, error);
}

/* The virtual size of what was pulled once; the format does not state it. */
static void
fill_sizes(const Source *source, const Index *index)
{
    for (guint i = 0; i < index->entries->len; i++) {
        IndexEntry *entry = g_ptr_array_index(index->entries, i);

        entry->size = record_size(source->name, entry);
    }
}

bool
streams_open(const Source *source, const Texts *texts, DoorIndex *out_opened, GError **error)
{
    g_autoptr(GPtrArray) files = bundle_unpack(texts->text, INDEX_MAX_STREAMS_FILES + 1);
    g_auto(DoorIndex) opened = {0};
    g_auto(GStrv) paths = product_paths(source, files, &opened, error);

    if (paths == NULL)
        return false;
    opened.index = index_new();
    opened.problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    opened.digest =
        digest_bytes(DIGEST_SHA512, g_bytes_get_data(texts->text, NULL), g_bytes_get_size(texts->text));
    for (char **path = paths; *path != NULL; path++) {
        const BundleFile *file = bundle_lookup(files, *path);
        g_autofree char *url = net_url_join(source->uri, *path);
        g_autoptr(GBytes) text = NULL;

        if (file == NULL)
            return error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: not there", url);
        text = verified_text(source, file, &opened, error);
        if (text == NULL || !index_streams_add(text, url, opened.index, opened.problems, error))
            return false;
    }
    fill_sizes(source, opened.index);
    *out_opened = opened;
    opened = (DoorIndex){0};
    return true;
}

static bool
fetch_file(const Source *source, const char *path, const GPtrArray *known, GPtrArray *files, GError **error)
{
    const BundleFile *before = bundle_lookup(known, path);
    g_autofree char *url = net_url_join(source->uri, path);
    g_autoptr(BundleFile) file = g_new0(BundleFile, 1);
    g_auto(NetAccess) access = {0};
    g_auto(NetReply) reply = {0};
    NetLimits limits;

    if (strpbrk(path, " \n") != NULL)
        return error_set(error, "%s: a blank in the path", url);
    if (!access_init(source, &access, &limits, error) ||
        !net_get(url, MAX_FILE, before == NULL ? NULL : before->etag, &limits, &reply, error))
        return false;
    file->path = g_strdup(path);
    file->body = reply.body != NULL ? g_steal_pointer(&reply.body) : g_bytes_ref(before->body);
    file->etag = g_steal_pointer(&reply.etag);
    if (file->etag != NULL && strpbrk(file->etag, "\r\n") != NULL)
        g_clear_pointer(&file->etag, g_free);
    g_ptr_array_add(files, g_steal_pointer(&file));
    return true;
}

bool
streams_fetch(const Source *source, const Texts *known, Texts *out_texts, DoorIndex *out_opened,
              GError **error)
{
    g_autoptr(GPtrArray) before =
        known == NULL ? NULL : bundle_unpack(known->text, INDEX_MAX_STREAMS_FILES + 1);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)bundle_file_free);
    g_auto(DoorIndex) unused = {0};
    g_auto(GStrv) paths = NULL;
    g_auto(Texts) texts = {0};
    gsize total = 0;

    if (!fetch_file(source, index_path(source), before, files, error))
        return false;
    paths = product_paths(source, files, &unused, error);
    for (char **path = paths; path != NULL && *path != NULL; path++) {
        const BundleFile *last;

        if (bundle_lookup(files, *path) == NULL && !fetch_file(source, *path, before, files, error))
            return false;
        last = g_ptr_array_index(files, files->len - 1);
        total += g_bytes_get_size(last->body);
        if (total > SIGN_MAX_TEXT - MAX_FILE) /* what the cache takes */
            return error_set(error, "%s: its files of products are too large together", source->uri);
    }
    if (paths == NULL)
        return false;
    texts.text = bundle_pack(files);
    if (!streams_open(source, &texts, out_opened, error))
        return false;
    *out_texts = texts;
    texts = (Texts){0};
    return true;
}
