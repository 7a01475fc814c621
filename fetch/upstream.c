// SPDX-License-Identifier: Apache-2.0
/* A source for those who copy it: its verified index, its signed texts as they are, and its files. What is done with them is
 * theirs. */
#include "fetch/fetch.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "fetch/access.h"
#include "fetch/catalogue.h"
#include "fetch/job.h"
#include "net/net.h"
#include "sign/sign.h"

#include <string.h>
#include <unistd.h>

#define ARMOR "-----BEGIN PGP SIGNED MESSAGE-----"

static const char *const NAMES[FETCH_N_TEXTS] = {"index",    "index.asc", "index.sig",
                                                 "keys.asc", "trust",     "trust.sig"};
enum { INDEX, CLEAR, SIGNATURE, KEYS, TRUST, TRUST_SIGNATURES };

struct FetchUpstream {
    Catalogue *catalogue;
};

void
fetch_text_clear(FetchText *text)
{
    g_clear_pointer(&text->content, g_bytes_unref);
    g_clear_pointer(&text->etag, g_free);
}

void
fetch_upstream_free(FetchUpstream *upstream)
{
    if (upstream == NULL)
        return;
    catalogue_free(upstream->catalogue);
    g_free(upstream);
}

/* Why what was opened cannot be copied, if that is so. A cached index is none of the source's now. */
static bool
check_opened(Catalogue *catalogue, const GPtrArray *warnings, GError **error)
{
    if (catalogue->failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&catalogue->failure));
        return false;
    }
    if (catalogue->refusal != NULL) {
        g_propagate_error(error, g_steal_pointer(&catalogue->refusal));
        return false;
    }
    if (catalogue->texts.text == NULL)
        return error_set_code(error, BASE_ERROR_UNAVAILABLE, "%s",
                              warnings->len > 0 ? (const char *)g_ptr_array_index(warnings, warnings->len - 1)
                                                : catalogue->source->uri);
    return true;
}

FetchUpstream *
fetch_upstream_open(const char *name, GPtrArray *warnings, GError **error)
{
    g_autoptr(FetchUpstream) upstream = g_new0(FetchUpstream, 1);
    Source *source = source_read(name, error);

    if (source == NULL)
        return NULL;
    if (!source->is_enabled) {
        error_set(error, "source '%s' is disabled: %s says 'enabled=no'", name, source->file);
        source_free(source);
        return NULL;
    }
    upstream->catalogue = catalogue_open(source, CATALOGUE_ASK, warnings);
    return interrupt_check(error) && check_opened(upstream->catalogue, warnings, error)
               ? g_steal_pointer(&upstream)
               : NULL;
}

const char *
fetch_upstream_uri(const FetchUpstream *upstream)
{
    return upstream->catalogue->uri;
}

bool
fetch_upstream_is_streams(const FetchUpstream *upstream)
{
    return upstream->catalogue->source->format == SOURCE_STREAMS;
}

const Index *
fetch_upstream_index(const FetchUpstream *upstream)
{
    return upstream->catalogue->opened.index;
}

const char *
fetch_upstream_digest(const FetchUpstream *upstream)
{
    return upstream->catalogue->opened.digest;
}

int64_t
fetch_upstream_expires(const FetchUpstream *upstream)
{
    const int64_t first = upstream->catalogue->opened.index->expires;
    const int64_t second = upstream->catalogue->opened.sig_expires;

    return first == 0 || second == 0 ? MAX(first, second) : MIN(first, second);
}

const GPtrArray *
fetch_upstream_problems(const FetchUpstream *upstream)
{
    return upstream->catalogue->opened.problems;
}

/* at: the source as the server that answered has it, borrowing all. */
static Source
at(const FetchUpstream *upstream)
{
    return source_at(upstream->catalogue->source, (char *)upstream->catalogue->uri);
}

/* another: a version other than the one that was opened has appeared. */
static bool
another(const Source *source, GError **error)
{
    return error_set_code(error, BASE_ERROR_EXISTS, "%s: changed while it was copied", source->uri);
}

/* The form of the index that the catalogue did not need: it must say the same. */
static bool
read_other_form(const FetchUpstream *upstream, const Source *source, FetchText *texts, GError **error)
{
    g_auto(Texts) clear = {0};
    g_auto(DoorIndex) opened = {0};
    g_autoptr(GError) problem = NULL;

    if (!texts_fetch(source, TEXTS_CLEAR, NULL, &clear, &problem)) {
        if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
            return true;
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    if (!door_open(source, &clear, &opened, error))
        return false;
    if (g_strcmp0(opened.digest, fetch_upstream_digest(upstream)) != 0)
        return another(source, error);
    texts[CLEAR].content = g_steal_pointer(&clear.text);
    texts[CLEAR].etag = g_steal_pointer(&clear.text_etag);
    return true;
}

static bool
is_armored(GBytes *text)
{
    gsize size;
    const char *data = g_bytes_get_data(text, &size);

    return size >= strlen(ARMOR) && memcmp(data, ARMOR, strlen(ARMOR)) == 0;
}

/* The forms of the index, the clear-signed one first where there are two: its tag tells whether another version came. */
static bool
read_index(const FetchUpstream *upstream, const Source *source, FetchText *texts, GError **error)
{
    const Texts *known = &upstream->catalogue->texts;
    const int first = known->signature == NULL && is_armored(known->text) ? CLEAR : INDEX;

    texts[first].content = g_bytes_ref(known->text);
    texts[first].etag = g_strdup(known->text_etag);
    if (known->signature == NULL)
        return true;
    texts[SIGNATURE].content = g_bytes_ref(known->signature);
    texts[SIGNATURE].etag = g_strdup(known->signature_etag);
    return read_other_form(upstream, source, texts, error);
}

static bool
read_one(const Source *source, FetchText *text, size_t max_bytes, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (texts_fetch_file(source, text->name, max_bytes, NULL, &text->content, &text->etag, &problem) ||
        g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* fetch_again: @name as it is now; *out_body is NULL where it still has the tag @etag. */
static bool
fetch_again(const Source *source, int which, const char *etag, GBytes **out_body, GError **error)
{
    g_auto(NetReply) reply = {0};
    g_auto(NetAccess) access = {0};
    g_autofree char *url = which == CLEAR ? g_strdup(source->uri) : net_url_join(source->uri, NAMES[which]);
    NetLimits limits;

    if (!access_init(source, &access, &limits, error) ||
        !net_get(url, SIGN_MAX_TEXT, etag, &limits, &reply, error))
        return false;
    *out_body = g_steal_pointer(&reply.body);
    return true;
}

/* All texts change at one moment, so if the first that was read is still the same, all are of one version. */
static bool
check_same(const Source *source, const FetchText *texts, GError **error)
{
    const int which = texts[CLEAR].content != NULL ? CLEAR : INDEX;
    g_autoptr(GBytes) now = NULL;

    if (!fetch_again(source, which, texts[which].etag, &now, error))
        return false;
    return now == NULL || g_bytes_equal(now, texts[which].content) || another(source, error);
}

bool
fetch_upstream_texts(const FetchUpstream *upstream, FetchText *out_texts, GError **error)
{
    const Source source = at(upstream);

    for (size_t i = 0; i < FETCH_N_TEXTS; i++)
        out_texts[i] = (FetchText){.name = NAMES[i]};
    if (!read_index(upstream, &source, out_texts, error))
        return false;
    if (!source.is_unsigned && !read_one(&source, &out_texts[KEYS], SIGN_MAX_KEYS, error))
        return false;
    if (fetch_upstream_index(upstream)->repo_id != NULL &&
        !read_one(&source, &out_texts[TRUST], SIGN_TRUST_MAX_BYTES, error))
        return false;
    if (out_texts[TRUST].content != NULL &&
        !read_one(&source, &out_texts[TRUST_SIGNATURES], SIGN_TRUST_MAX_BYTES, error))
        return false;
    return check_same(&source, out_texts, error);
}

static int
number_of(const char *name)
{
    for (int i = 0; i < (int)FETCH_N_TEXTS; i++)
        if (strcmp(NAMES[i], name) == 0)
            return i;
    return -1;
}

bool
fetch_upstream_is_unchanged(const char *name, const FetchText *texts, size_t n_texts, bool *out_is_unchanged,
                            GError **error)
{
    g_autoptr(Source) source = source_read(name, error);

    if (source == NULL)
        return false;
    *out_is_unchanged = false;
    for (size_t i = 0; i < n_texts && source->is_enabled; i++) {
        const int which = texts[i].etag != NULL ? number_of(texts[i].name) : -1;
        g_autoptr(GBytes) now = NULL;

        if (which < 0)
            continue;
        if (!fetch_again(source, which, texts[i].etag, &now, error))
            return false;
        *out_is_unchanged = now == NULL;
        if (now != NULL)
            break;
    }
    return true;
}

static bool
download_from(const FetchUpstream *upstream, const FetchFile *file, const char *url, GError **error)
{
    g_auto(NetAccess) access = {0};
    NetLimits limits;
    uint64_t have;

    if (!access_init(upstream->catalogue->source, &access, &limits, error) ||
        !fd_size(file->fd, file->path, &have, error))
        return false;
    limits.max_rate = file->max_rate;
    if (have > (file->size > 0 ? file->size : file->max_size)) {
        if (ftruncate(file->fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", file->path);
        have = 0;
    }
    return net_download(&(NetDownload){.url = url,
                                       .fd = file->fd,
                                       .offset = have,
                                       .size = file->size,
                                       .max_size = file->max_size,
                                       .total = file->total},
                        &limits, error);
}

bool
fetch_upstream_download(const FetchUpstream *upstream, const FetchFile *file, unsigned start, GError **error)
{
    const Job job = {.catalogue = upstream->catalogue};
    g_auto(GStrv) urls = job_urls(&job, file->file);
    const unsigned n = g_strv_length(urls);
    g_autoptr(GError) first = NULL;

    for (unsigned i = 0; i < n; i++) {
        g_autoptr(GError) problem = NULL;

        if (download_from(upstream, file, urls[(start + i) % n], &problem))
            return true;
        if (first == NULL || g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
        }
        if (g_error_matches(first, BASE_ERROR, BASE_ERROR_INTERRUPTED))
            break;
    }
    g_propagate_error(error, g_steal_pointer(&first));
    return false;
}
