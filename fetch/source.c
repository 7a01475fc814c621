// SPDX-License-Identifier: Apache-2.0
/* What a source is made of. Its file is source_store.c's, what it serves catalogue.c's. */
#include "fetch/source.h"

#include "base/file.h"
#include "net/net.h"

#include <string.h>

#define MAX_NAME 64u
#define NAME_CHARACTERS "-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"

Source *
source_new(const char *name, const char *uri)
{
    Source *source = g_new0(Source, 1);

    source->name = g_strdup(name);
    source->uri = g_strdup(uri);
    source->is_enabled = true;
    source->priority = SOURCE_PRIORITY;
    source->max_age = -1;
    source->mirrors = g_new0(char *, 1);
    source->pins = g_new0(char *, 1);
    source->roots = g_new0(char *, 1);
    return source;
}

void
source_free(Source *source)
{
    if (source == NULL)
        return;
    g_free(source->name);
    g_free(source->file);
    g_free(source->uri);
    g_strfreev(source->mirrors);
    g_free(source->proxy);
    g_free(source->ca);
    g_free(source->client_cert);
    g_free(source->client_key);
    g_free(source->credential);
    g_free(source->repo_id);
    g_strfreev(source->pins);
    g_strfreev(source->roots);
    g_clear_pointer(&source->keys, g_bytes_unref);
    g_free(source);
}

Source
source_at(const Source *source, char *uri)
{
    Source at = *source;

    at.uri = uri;
    if (!net_url_is_same_origin(source->uri, uri))
        at.credential = at.client_cert = at.client_key = NULL;
    return at;
}

bool
source_is_name(const char *name)
{
    return file_is_name(name) && *name != '-' && strlen(name) <= MAX_NAME &&
           name[strspn(name, NAME_CHARACTERS)] == '\0';
}

unsigned
source_max_age(const Source *source)
{
    const char *set = g_getenv("VIRT_DEPOT_MAX_AGE");
    guint64 seconds = SOURCE_DEFAULT_AGE;

    if (source->max_age >= 0)
        return (unsigned)source->max_age;
    if (set != NULL)
        g_ascii_string_to_unsigned(set, 10, 0, SOURCE_MAX_AGE, &seconds, NULL);
    return (unsigned)seconds;
}

const char *
source_format_name(SourceFormat format)
{
    return format == SOURCE_STREAMS ? "simplestreams" : "native";
}

bool
source_format_parse(const char *text, SourceFormat *out_format, GError **error)
{
    if (strcmp(text, "native") != 0 && strcmp(text, "simplestreams") != 0)
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': a source's format is native or simplestreams",
                              text);
    *out_format = strcmp(text, "simplestreams") == 0 ? SOURCE_STREAMS : SOURCE_NATIVE;
    return true;
}

/* @url without the '/' at its end, and with @tail. */
static char *
with_tail(const char *url, const char *tail)
{
    size_t length = strlen(url);

    while (length > 0 && url[length - 1] == '/')
        length--;
    return g_strdup_printf("%.*s%s", (int)length, url, tail);
}

static char *
streams_uri(const char *url)
{
    static const char *const TAILS[] = {"/streams/v1/index.json", "/streams/v1/index.sjson", "/streams/v1",
                                        "/streams"};
    g_autofree char *folder = with_tail(url, "");

    for (size_t i = 0; i < G_N_ELEMENTS(TAILS); i++)
        if (g_str_has_suffix(folder, TAILS[i])) {
            folder[strlen(folder) - strlen(TAILS[i])] = '\0';
            break;
        }
    return with_tail(folder, "/");
}

char *
source_normal_uri(const char *text, SourceFormat format, GError **error)
{
    g_autofree char *absolute =
        strstr(text, "://") == NULL && *text != '\0' ? g_canonicalize_filename(text, NULL) : g_strdup(text);

    if (!net_url_check(absolute, error))
        return NULL;
    if (strpbrk(absolute, "?#") != NULL) {
        error_set_code(error, BASE_ERROR_USAGE, "'%s': the URL of a repository has no '?' or '#'", text);
        return NULL;
    }
    if (format == SOURCE_STREAMS)
        return streams_uri(absolute);
    if (g_str_has_suffix(absolute, ".asc"))
        return g_steal_pointer(&absolute);
    if (g_str_has_suffix(absolute, "/index"))
        return g_strconcat(absolute, ".asc", NULL);
    return with_tail(absolute, "/index.asc");
}

bool
source_check_access(const Source *source, GError **error)
{
    const char *credential = source->credential;

    if (source->proxy != NULL && strcmp(source->proxy, "no") != 0 && !net_proxy_check(source->proxy, error))
        return false;
    if (source->ca != NULL && !g_path_is_absolute(source->ca))
        return error_set_code(error, BASE_ERROR_USAGE, "ca '%s': not an absolute path", source->ca);
    if ((source->client_cert == NULL) != (source->client_key == NULL))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "a client certificate and its key go together; one file may hold both");
    if (source->client_cert != NULL &&
        (!g_path_is_absolute(source->client_cert) || !g_path_is_absolute(source->client_key)))
        return error_set_code(error, BASE_ERROR_USAGE, "client-cert and client-key must be absolute paths");
    if (credential != NULL && !g_path_is_absolute(credential) &&
        (*credential != '@' || !file_is_name(credential + 1)))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "credential '%s': neither an absolute path nor @NAME of a systemd credential",
                              credential);
    return true;
}
