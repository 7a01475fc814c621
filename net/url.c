// SPDX-License-Identifier: Apache-2.0
/* URLs and header values as text. Pure. */
#include "net/private.h"

#include <string.h>

/* Besides letters and digits: RFC 3986's unreserved and reserved characters, and '%' of escapes that are
 * there. */
#define URL_CHARACTERS "-._~:/?#@!$&'()*+,;=%"

static bool
has_scheme(const char *url, const char *scheme)
{
    return g_ascii_strncasecmp(url, scheme, strlen(scheme)) == 0;
}

char *
net_local_path(const char *url)
{
    if (*url == '/')
        return g_strdup(url);
    if (has_scheme(url, "file:///"))
        return g_filename_from_uri(url, NULL, NULL);
    return NULL;
}

bool
net_url_check(const char *url, GError **error)
{
    g_autofree char *path = net_local_path(url);
    g_autofree char *userinfo = NULL, *host = NULL;

    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return error_set_code(error, BASE_ERROR_USAGE, "'%s': a URL has no blanks or control characters",
                                  url);
    if (path != NULL)
        return true;
    if (!has_scheme(url, "http://") && !has_scheme(url, "https://"))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not an http, https or file URL", url);
    if (!g_uri_split(url, G_URI_FLAGS_NONE, NULL, &userinfo, &host, NULL, NULL, NULL, NULL, NULL) ||
        host == NULL || *host == '\0')
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not a URL", url);
    if (userinfo != NULL)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "a URL must not hold credentials: put them into ~/.netrc");
    return true;
}

bool
net_proxy_check(const char *url, GError **error)
{
    static const char *const SCHEMES[] = {"http", "https", "socks5", "socks5h", NULL};
    g_autofree char *scheme = NULL, *userinfo = NULL, *host = NULL;

    if (!g_uri_split(url, G_URI_FLAGS_NONE, &scheme, &userinfo, &host, NULL, NULL, NULL, NULL, NULL) ||
        scheme == NULL || !g_strv_contains(SCHEMES, scheme) || host == NULL || *host == '\0')
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not an http, https or socks5 URL of a proxy",
                              url);
    if (userinfo != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "a proxy's URL must not hold credentials");
    return true;
}

bool
net_url_is_same_origin(const char *a, const char *b)
{
    g_autofree char *scheme_a = NULL, *scheme_b = NULL, *host_a = NULL, *host_b = NULL;
    int port_a, port_b;

    if (!g_uri_split(a, G_URI_FLAGS_NONE, &scheme_a, NULL, &host_a, &port_a, NULL, NULL, NULL, NULL) ||
        !g_uri_split(b, G_URI_FLAGS_NONE, &scheme_b, NULL, &host_b, &port_b, NULL, NULL, NULL, NULL) ||
        scheme_a == NULL || scheme_b == NULL || host_a == NULL || host_b == NULL || *host_a == '\0' ||
        g_ascii_strcasecmp(scheme_a, scheme_b) != 0 || g_ascii_strcasecmp(host_a, host_b) != 0)
        return false;
    if (port_a < 0)
        port_a = g_ascii_strcasecmp(scheme_a, "https") == 0 ? 443 : 80;
    if (port_b < 0)
        port_b = g_ascii_strcasecmp(scheme_b, "https") == 0 ? 443 : 80;
    return port_a == port_b;
}

char *
net_url_join(const char *base, const char *relative)
{
    bool is_path = *base == '/', is_file = has_scheme(base, "file:");
    size_t query = is_path || is_file ? strlen(base) : strcspn(base, "?#");
    const char *slash = g_strrstr_len(base, (gssize)query, "/");
    g_autofree char *folder = g_strndup(base, slash == NULL ? 0 : (size_t)(slash - base) + 1);
    g_autoptr(GString) url = g_string_new(folder);

    for (const char *p = relative; *p != '\0'; p++) {
        /* In a file: URL a '%' of the name must not become the start of an escape. */
        bool is_plain = g_ascii_isalnum(*p) ||
                        (strchr(URL_CHARACTERS, *p) != NULL && (!is_file || strchr("%?#", *p) == NULL));

        if (is_path || is_plain)
            g_string_append_c(url, *p);
        else
            g_string_append_printf(url, "%%%02X", (unsigned)(unsigned char)*p);
    }
    return g_string_free(g_steal_pointer(&url), FALSE);
}

static bool
take_number(const char **text, char end, uint64_t *out_number)
{
    char *rest = NULL;
    g_autofree char *digits = g_strndup(*text, strspn(*text, "0123456789"));

    if (!g_ascii_string_to_unsigned(digits, 10, 0, INT64_MAX, out_number, NULL))
        return false;
    rest = (char *)*text + strlen(digits);
    if (*rest != end)
        return false;
    *text = end == '\0' ? rest : rest + 1;
    return true;
}

bool
net_parse_content_range(const char *value, uint64_t *out_first, uint64_t *out_last, uint64_t *out_total)
{
    uint64_t first, last, total;

    if (g_ascii_strncasecmp(value, "bytes ", 6) != 0)
        return false;
    value += 6;
    if (!take_number(&value, '-', &first) || !take_number(&value, '/', &last) ||
        !take_number(&value, '\0', &total) || first > last || last >= total)
        return false;
    *out_first = first;
    *out_last = last;
    *out_total = total;
    return true;
}
