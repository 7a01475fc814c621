// SPDX-License-Identifier: Apache-2.0
/* Credentials of requests, looked up in the file of tokens. */
#include "repod/access.h"

#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOOK_AGAIN_US ((int64_t)G_USEC_PER_SEC) /* how long a revoked token may still be good */

struct Access {
    pthread_mutex_t lock; /* of all that follows */
    char *path;           /* of the file that was read; NULL: none yet */
    struct stat read;     /* as it was then; all 0: it is not there */
    int64_t looked_us;
    GPtrArray *tokens; /* (element-type Token) empty where the file cannot be read */
    Backoff backoff;
};

Access *
access_new(void)
{
    Access *access = g_new0(Access, 1);

    pthread_mutex_init(&access->lock, NULL);
    access->tokens = g_ptr_array_new();
    return access;
}

void
access_free(Access *access)
{
    if (access == NULL)
        return;
    pthread_mutex_destroy(&access->lock);
    g_free(access->path);
    g_ptr_array_unref(access->tokens);
    g_free(access);
}

static bool
is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev && one->st_size == other->st_size &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* read_tokens: without a file, or with one that cannot be read, nobody has any rights. */
static GPtrArray *
read_tokens(const char *path, bool is_there)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) text = is_there ? file_read(path, TOKENS_MAX_BYTES, &error) : NULL;
    GPtrArray *tokens = NULL;

    if (text != NULL)
        tokens = tokens_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, &error);
    if (error != NULL)
        fprintf(stderr, "repod: no token is accepted: %s\n", error->message);
    return tokens != NULL ? tokens : g_ptr_array_new();
}

/* refresh: with the lock. */
static void
refresh(Access *access, const char *state_dir, int64_t now_us, bool must_look)
{
    g_autofree char *path = g_build_filename(state_dir, "tokens", NULL);
    bool is_new = g_strcmp0(path, access->path) != 0;
    struct stat found;
    bool is_there;

    if (!is_new && !must_look && now_us - access->looked_us < LOOK_AGAIN_US)
        return;
    access->looked_us = now_us;
    is_there = stat(path, &found) == 0;
    if (!is_there)
        memset(&found, 0, sizeof found);
    if (!is_new && is_same_file(&found, &access->read))
        return;
    g_ptr_array_unref(access->tokens);
    access->tokens = read_tokens(path, is_there);
    access->read = found;
    g_free(access->path);
    access->path = g_steal_pointer(&path);
}

static bool
is_scheme(HttpText text, const char *scheme)
{
    return text.length > strlen(scheme) && g_ascii_strncasecmp(text.at, scheme, strlen(scheme)) == 0;
}

/* find_basic: stock clients know only names and passwords: any name, and the token as password (RFC 7617). */
static const Token *
find_basic(const GPtrArray *tokens, HttpText text)
{
    g_autofree char *encoded = g_strndup(text.at + strlen("Basic "), text.length - strlen("Basic "));
    gsize length;
    g_autofree guchar *decoded = g_base64_decode(encoded, &length);
    const guchar *colon = memchr(decoded, ':', length);
    const Token *token;

    if (colon == NULL)
        return NULL;
    colon++;
    token = tokens_find_secret(tokens, (const char *)colon, length - (gsize)(colon - decoded));
    explicit_bzero(decoded, length);
    return token;
}

static const Token *
find_token(const GPtrArray *tokens, HttpText text)
{
    const size_t bearer = strlen("Bearer ");

    if (is_scheme(text, "Bearer "))
        return tokens_find_secret(tokens, text.at + bearer, text.length - bearer);
    return is_scheme(text, "Basic ") ? find_basic(tokens, text) : NULL;
}

static void
grant(const Token *token, const char *repository, AccessGrant *out_grant)
{
    memcpy(out_grant->token, token->id, sizeof out_grant->token);
    out_grant->rights = token_rights(token, repository);
    out_grant->daily_bytes = token->daily_bytes;
}

/* look_up: whose credential that is, if it is good now. */
static const Token *
look_up(const Access *access, const AccessAsk *ask)
{
    const Token *token = ask->authorization.at != NULL
                             ? find_token(access->tokens, ask->authorization)
                             : tokens_find_certificate(access->tokens, ask->certificate);

    return token != NULL && (token->expires == 0 || token->expires > time(NULL)) ? token : NULL;
}

/* find: with the lock. */
static int
find(Access *access, const AccessAsk *ask, int64_t now_us, AccessGrant *out_grant, unsigned *out_wait)
{
    const Token *token;

    if (ask->authorization.at != NULL) {
        *out_wait = backoff_seconds(&access->backoff, ask->peer, now_us);
        if (*out_wait > 0)
            return 429;
    }
    refresh(access, ask->state_dir, now_us, false);
    token = look_up(access, ask);
    if (token == NULL) { /* perhaps it was made a moment ago */
        refresh(access, ask->state_dir, now_us, true);
        token = look_up(access, ask);
    }
    if (token != NULL) {
        grant(token, ask->repository, out_grant);
        if (ask->authorization.at != NULL)
            backoff_forget(&access->backoff, ask->peer);
        return 0;
    }
    if (ask->authorization.at == NULL) /* a certificate that no token names: somebody, but nobody special */
        return 0;
    backoff_fail(&access->backoff, ask->peer, now_us);
    return 401;
}

int
access_find(Access *access, const AccessAsk *ask, AccessGrant *out_grant, unsigned *out_wait)
{
    const int64_t now_us = g_get_monotonic_time();
    int status;

    *out_grant = (AccessGrant){.rights = ACCESS_NONE};
    *out_wait = 0;
    if (ask->authorization.at == NULL && ask->certificate == NULL)
        return 0;
    if (ask->authorization.at != NULL && !ask->is_tls && !ask->has_insecure_tokens &&
        !peer_is_local(ask->peer))
        return 403;
    if (ask->state_dir == NULL)
        return ask->authorization.at != NULL ? 401 : 0;
    pthread_mutex_lock(&access->lock);
    status = find(access, ask, now_us, out_grant, out_wait);
    pthread_mutex_unlock(&access->lock);
    return status;
}

int
access_judge(bool is_public, bool is_write, int found, const AccessGrant *grant)
{
    const AccessRights needed = is_write ? ACCESS_PUSH : ACCESS_READ;

    /* An expired token in somebody's configuration must not take away what everybody may have. */
    if (is_public && !is_write)
        return 0;
    if (found != 0)
        return found;
    if ((grant->rights & needed) == needed)
        return 0;
    if (*grant->token == '\0')
        return 401;
    return is_public || (grant->rights & ACCESS_READ) == ACCESS_READ ? 403 : 404;
}

void
access_refuse(Reply *reply, const HttpRequest *request, int status, unsigned wait, bool should_close)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {401, "a valid token is needed here\n"},
        {403, "this token does not allow that, or it was sent in the clear from another host\n"},
        {404, "404 Not Found\n"},
        {429, "too many wrong tokens came from your address: try again later\n"},
    };
    g_autofree char *later = status == 429 ? g_strdup_printf("Retry-After: %u\r\n", MAX(wait, 1)) : NULL;
    ResponseHead head = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .fields = later,
        .is_head = request->method == HTTP_HEAD,
        .should_close = should_close || request->has_body,
    };

    /* Basic is for stock clients (RFC 7235, 4.1 allows several). */
    if (status == 401)
        head.fields = "WWW-Authenticate: Bearer realm=\"repod\", Basic realm=\"repod\"\r\n";
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GBytes) body = g_bytes_new_static(texts[i].text, strlen(texts[i].text));

        if (texts[i].status == status) {
            reply_begin_bytes(reply, &head, body);
            return;
        }
    }
    g_assert_not_reached();
}
