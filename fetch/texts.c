// SPDX-License-Identifier: Apache-2.0
/* Fetching, caching and revalidating the signed texts of a source. They are opaque here. */
#include "fetch/texts.h"

#include "base/file.h"
#include "base/json.h"
#include "fetch/access.h"
#include "fetch/cache.h"
#include "net/net.h"
#include "sign/sign.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_SIGNATURE (64u << 10) /* one signature is below 1 KB */
#define FACTS "facts.json"        /* written last: its time is that of the whole */
#define MAX_FACTS (64u << 10)

void
texts_clear(Texts *texts)
{
    g_clear_pointer(&texts->text, g_bytes_unref);
    g_clear_pointer(&texts->signature, g_bytes_unref);
    g_clear_pointer(&texts->text_etag, g_free);
    g_clear_pointer(&texts->signature_etag, g_free);
}

/* One file, or what is known of it where the server says that it has not changed. */
static bool
fetch_one(const Source *source, const char *url, size_t max_bytes, GBytes *known, const char *known_etag,
          GBytes **out_body, char **out_etag, GError **error)
{
    g_auto(NetReply) reply = {0};
    g_auto(NetAccess) access = {0};
    NetLimits limits;

    if (!access_init(source, &access, &limits, error))
        return false;
    if (!net_get(url, max_bytes, known == NULL ? NULL : known_etag, &limits, &reply, error))
        return false;
    *out_body = reply.body != NULL ? g_steal_pointer(&reply.body) : g_bytes_ref(known);
    *out_etag = g_steal_pointer(&reply.etag);
    return true;
}

bool
texts_fetch_file(const Source *source, const char *leaf, size_t max_bytes, const char *etag,
                 GBytes **out_body, char **out_etag, GError **error)
{
    g_autofree char *url = net_url_join(source->uri, leaf);
    g_auto(NetReply) reply = {0};
    g_auto(NetAccess) access = {0};
    NetLimits limits;

    if (!access_init(source, &access, &limits, error) ||
        !net_get(url, max_bytes, etag, &limits, &reply, error))
        return false;
    *out_body = g_steal_pointer(&reply.body);
    if (out_etag != NULL)
        *out_etag = g_steal_pointer(&reply.etag);
    return true;
}

bool
texts_fetch(const Source *source, TextsKind kind, const Texts *known, Texts *out_texts, GError **error)
{
    static const Texts NOTHING;
    g_auto(Texts) texts = {0};
    g_autofree char *plain = net_url_join(source->uri, "index");
    g_autofree char *signature = net_url_join(source->uri, "index.sig");

    /* What is known may be of the other kind; its tags are of other files then. */
    if (known == NULL || (known->signature != NULL) != (kind == TEXTS_DETACHED))
        known = &NOTHING;
    if (kind == TEXTS_DETACHED &&
        !fetch_one(source, signature, MAX_SIGNATURE, known->signature, known->signature_etag,
                   &texts.signature, &texts.signature_etag, error))
        return false;
    if (!fetch_one(source, kind == TEXTS_CLEAR ? source->uri : plain, SIGN_MAX_TEXT, known->text,
                   known->text_etag, &texts.text, &texts.text_etag, error))
        return false;
    *out_texts = texts;
    texts = (Texts){0};
    return true;
}

static GBytes *
load_one(const char *folder, const char *leaf, size_t max_bytes, GError **error)
{
    g_autofree char *path = g_build_filename(folder, leaf, NULL);

    return file_read(path, max_bytes, error);
}

bool
texts_load(const Source *source, Texts *out_texts, GError **error)
{
    g_autofree char *folder = cache_index_folder(source->name);
    g_autoptr(GBytes) facts_text = load_one(folder, FACTS, MAX_FACTS, error);
    g_autoptr(Json) facts = NULL;
    g_auto(Texts) texts = {0};

    if (facts_text == NULL)
        return false;
    facts = json_parse(g_bytes_get_data(facts_text, NULL), g_bytes_get_size(facts_text), folder, error);
    if (facts == NULL)
        return false;
    if (g_strcmp0(json_get_text(facts, "uri"), source->uri) != 0)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: of another URL", folder);
    texts.text = load_one(folder, "index", SIGN_MAX_TEXT, error);
    if (texts.text == NULL)
        return false;
    if (json_get_flag(facts, "detached", false)) {
        texts.signature = load_one(folder, "index.sig", MAX_SIGNATURE, error);
        if (texts.signature == NULL)
            return false;
    }
    texts.text_etag = g_strdup(json_get_text(facts, "etag"));
    texts.signature_etag = g_strdup(json_get_text(facts, "signature-etag"));
    *out_texts = texts;
    texts = (Texts){0};
    return true;
}

static bool
store_one(const char *folder, const char *leaf, const void *data, size_t size, GError **error)
{
    g_autofree char *path = g_build_filename(folder, leaf, NULL);

    return file_write_atomic(path, data, size, 0644, error);
}

bool
texts_store(const Source *source, const Texts *texts, GError **error)
{
    g_autofree char *folder = cache_index_folder(source->name), *facts_text = NULL;
    g_autoptr(Json) facts = json_new_object();

    json_set_text(facts, "uri", source->uri);
    json_set_flag(facts, "detached", texts->signature != NULL);
    json_set_text(facts, "etag", texts->text_etag);
    json_set_text(facts, "signature-etag", texts->signature_etag);
    facts_text = json_print(facts);
    /* Killed in between, or two at once: a mix of versions, which does not verify and is fetched anew. */
    return file_make_dirs(folder, 0755, error) &&
           (texts->signature == NULL ||
            store_one(folder, "index.sig", g_bytes_get_data(texts->signature, NULL),
                      g_bytes_get_size(texts->signature), error)) &&
           store_one(folder, "index", g_bytes_get_data(texts->text, NULL), g_bytes_get_size(texts->text),
                     error) &&
           store_one(folder, FACTS, facts_text, strlen(facts_text), error);
}

int64_t
texts_confirmed_at(const Source *source)
{
    g_autofree char *folder = cache_index_folder(source->name), *path = g_build_filename(folder, FACTS, NULL);
    struct stat status;

    return stat(path, &status) == 0 ? (int64_t)status.st_mtime : 0;
}
