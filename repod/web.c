// SPDX-License-Identifier: Apache-2.0
/* Which of the pages is meant, and the work behind each, which is done in the pool where it can take long. */
#include "repod/web.h"

#include "repod/api.h"
#include "repod/health.h"
#include "repod/html.h"
#include "repod/shelf.h"

#include <string.h>

#define API "api/v1/"
#define API_IMAGES "api/v1/images/"
#define LOOPS_TIMEOUT_US (5 * G_USEC_PER_SEC)

typedef enum {
    WEB_HEALTH,
    WEB_READY,
    WEB_METRICS,
    WEB_PAGE,
    WEB_API,
    WEB_INDEX,
    WEB_HISTORY,
    WEB_IMAGE
} WebKind;

typedef struct {
    WebKind kind;
    Shared *shared;
    Runtime *runtime;
    const Site *site; /* NULL: the whole server */
    bool is_head, should_close;
    bool is_operator;    /* asked from this host, where details are no secret */
    char *url;           /* of the repository */
    char *if_none_match; /* NULL: none */
    char *image;         /* of WEB_IMAGE */

    ShelfView *view; /* of a repository; or else: */
    int status;
    GBytes *body;
} WebJob;

static void
job_free(void *self)
{
    WebJob *job = self;

    shelf_view_unref(job->view);
    if (job->body != NULL)
        g_bytes_unref(job->body);
    runtime_unref(job->runtime);
    g_free(job->url);
    g_free(job->if_none_match);
    g_free(job->image);
    g_free(job);
}

static bool
job_complete(G_GNUC_UNUSED void *self, G_GNUC_UNUSED Reply *reply)
{
    return false;
}

static void
work_metrics(const WebJob *job, GString *out)
{
    g_autoptr(GPtrArray) workers = g_ptr_array_new();

    for (guint i = 0; i < job->shared->workers->len; i++)
        g_ptr_array_add(workers, &((Worker *)g_ptr_array_index(job->shared->workers, i))->metrics);
    metrics_print_build(out);
    metrics_print_totals(out, workers);
    metrics_print_counters(out, &job->shared->counters, atomic_load(&job->shared->n_connections));
    metrics_print_sites(out, job->runtime);
}

static void
job_work(void *self)
{
    WebJob *job = self;
    GString *text;
    bool is_ok = true;

    if (job->site != NULL) {
        job->view = shelf_read(job->site->shelf);
        return;
    }
    text = g_string_new(NULL);
    if (job->kind == WEB_HEALTH)
        is_ok = health_loops(job->shared, LOOPS_TIMEOUT_US);
    else if (job->kind == WEB_READY)
        is_ok = health_ready(job->shared, job->runtime, text);
    else
        work_metrics(job, text);
    if (job->kind == WEB_HEALTH || !job->is_operator)
        g_string_assign(text, is_ok ? "ok\n" : "failing\n");
    job->status = is_ok ? 200 : 503;
    job->body = g_string_free_to_bytes(text);
}

static GBytes *
entry_points(const ShelfView *view)
{
    g_autoptr(Json) json = json_new_object();
    char *text;

    json_set_text(json, "repository", view->catalogue->site);
    json_set_text(json, "index", API "index");
    json_set_text(json, "image", API_IMAGES "{name}");
    json_set_text(json, "history", API "history");
    text = json_print(json);
    return g_bytes_new_take(text, strlen(text));
}

/* (transfer full) (nullable). @out_rest: (transfer full) (nullable) what follows it. */
static GBytes *
body_of(const WebJob *job, GBytes **out_rest)
{
    const ShelfView *view = job->view;

    if (job->kind == WEB_PAGE)
        return page_fill(view->page, job->url, out_rest);
    if (view->catalogue->problem != NULL)
        return api_error(view->catalogue->problem);
    switch (job->kind) {
    case WEB_API:
        return entry_points(view);
    case WEB_INDEX:
        return g_bytes_ref(view->index);
    case WEB_HISTORY:
        return g_bytes_ref(view->history);
    default:
        return api_image(view->catalogue, job->image);
    }
}

static void
answer_view(const WebJob *job, Reply *reply)
{
    const Catalogue *catalogue = job->view->catalogue;
    const bool is_good = catalogue->problem == NULL;
    char fields[RESPONSE_FIELDS_MAX];
    g_autoptr(GBytes) rest = NULL;
    g_autoptr(GBytes) body = body_of(job, &rest);
    ResponseHead head = {
        .status = is_good               ? 200
                  : catalogue->is_empty ? 404
                                        : 503,
        .content_type = job->kind == WEB_PAGE ? "text/html; charset=utf-8" : "application/json",
        .cache_control = !is_good                       ? NULL
                         : job->site->config->is_public ? "no-cache"
                                                        : "private, no-cache",
        .fields = fields,
        .is_head = job->is_head,
        .should_close = job->should_close,
    };

    if (body == NULL) {
        head.status = 404;
        body = api_error("there is no image of this name");
    }
    fields[0] = '\0';
    if (job->kind == WEB_PAGE)
        g_snprintf(fields, sizeof fields, "Content-Security-Policy: %s\r\nReferrer-Policy: no-referrer\r\n",
                   page_security_policy());
    if (head.status == 200) {
        const size_t length = strlen(fields);

        g_snprintf(fields + length, sizeof fields - length, "ETag: %s\r\n", job->view->etag);
        if (job->if_none_match != NULL &&
            response_is_listed((HttpText){job->if_none_match, strlen(job->if_none_match)}, job->view->etag)) {
            head.status = 304;
            head.is_head = true; /* no body either */
        }
    }
    reply_begin_parts(reply, &head, body, rest);
}

static void
job_answer(void *self, Reply *reply)
{
    const WebJob *job = self;
    const ResponseHead head = {
        .status = job->status,
        .content_type = job->kind == WEB_METRICS ? "text/plain; version=0.0.4; charset=utf-8"
                                                 : "text/plain; charset=utf-8",
        .is_head = job->is_head,
        .should_close = job->should_close,
    };

    if (job->view != NULL)
        answer_view(job, reply);
    else
        reply_begin_bytes(reply, &head, job->body);
}

static const ExchangeKind WEB = {
    .complete = job_complete,
    .work = job_work,
    .answer = job_answer,
    .free = job_free,
};

static bool
is_read(const RouteFacts *facts, const HttpRequest *request, Reply *reply)
{
    if (request->method == HTTP_GET || request->method == HTTP_HEAD)
        return true;
    reply_begin_refusal(reply, request, 405, facts->should_close);
    return false;
}

/* A proxy on this host asks on behalf of the whole world, so only who says that he is none counts as an operator. */
static bool
is_operator(const RouteFacts *facts, const HttpRequest *request)
{
    AccessGrant grant;
    unsigned wait;

    if (peer_is_local(facts->peer) && !request->is_forwarded)
        return true;
    return route_find_access(facts, request, &grant, &wait) == 0 &&
           (grant.rights & ACCESS_ADMIN) == ACCESS_ADMIN;
}

static WebJob *
job_new(WebKind kind, const RouteFacts *facts, const HttpRequest *request)
{
    WebJob *job = g_new0(WebJob, 1);

    job->kind = kind;
    job->shared = facts->worker->shared;
    job->runtime = runtime_ref(facts->runtime);
    job->site = facts->site;
    job->is_head = request->method == HTTP_HEAD;
    job->should_close = facts->should_close;
    job->is_operator =
        is_operator(facts, request) || (kind == WEB_METRICS && facts->runtime->config->is_metrics_public);
    return job;
}

bool
web_route_server(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange)
{
    static const struct {
        const char *path;
        WebKind kind;
    } paths[] = {{"healthz", WEB_HEALTH}, {"readyz", WEB_READY}, {"metrics", WEB_METRICS}};
    WebJob *job;

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        if (strcmp(request->path, paths[i].path) != 0)
            continue;
        if (!is_read(facts, request, reply))
            return true;
        job = job_new(paths[i].kind, facts, request);
        job->site = NULL;
        if (job->kind == WEB_METRICS && !job->is_operator) {
            job_free(job);
            reply_begin_refusal(reply, request, 403, facts->should_close);
            return true;
        }
        *out_exchange = (Exchange){&WEB, job};
        return true;
    }
    return false;
}

static int
compare_sites(const void *a, const void *b)
{
    const ConfigSite *const *first = a, *const *second = b;

    return strcmp((*first)->name, (*second)->name);
}

/* (element-type ConfigSite) (transfer container) sorted: what a client that named this host may know of. */
static GPtrArray *
public_sites(const Config *config, HttpText host)
{
    GPtrArray *sites = g_ptr_array_new();

    for (guint i = 0; i < config->sites->len; i++) {
        ConfigSite *site = g_ptr_array_index(config->sites, i);
        const char *rest;

        if (site->is_public && config_find_site(config, host.at, host.length, site->prefix, &rest) == site)
            g_ptr_array_add(sites, site);
    }
    g_ptr_array_sort(sites, compare_sites);
    return sites;
}

static bool
list_sites(const RouteFacts *facts, const HttpRequest *request, Reply *reply)
{
    g_autoptr(GPtrArray) sites = public_sites(facts->runtime->config, request->host);
    g_autoptr(Page) page = page_new();
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GBytes) rest = NULL;
    g_autofree char *fields = g_strdup_printf("Content-Security-Policy: %s\r\n", page_security_policy());
    const ResponseHead head = {
        .status = 200,
        .content_type = "text/html; charset=utf-8",
        .cache_control = "no-cache",
        .fields = fields,
        .is_head = request->method == HTTP_HEAD,
        .should_close = facts->should_close,
    };

    if (sites->len == 0)
        return false;
    page_render_list(page, sites);
    body = page_fill(page, "", &rest);
    reply_begin_parts(reply, &head, body, rest);
    return true;
}

bool
web_redirect(const RouteFacts *facts, const HttpRequest *request, Reply *reply)
{
    g_autofree char *path = g_strconcat(request->path, "/", NULL);
    g_autofree char *fields = g_strdup_printf("Location: /%s\r\n", path);
    g_autoptr(GBytes) body = g_bytes_new_static("", 0);
    const ResponseHead head = {
        .status = 308,
        .content_type = "text/plain; charset=utf-8",
        .fields = fields,
        .is_head = request->method == HTTP_HEAD,
        .should_close = facts->should_close,
    };
    const char *rest;
    const ConfigSite *site =
        config_find_site(facts->runtime->config, request->host.at, request->host.length, path, &rest);

    /* What is sent is the configuration's own text. */
    if (site == NULL || *rest != '\0' || strcmp(site->prefix, path) != 0)
        return false;
    reply_begin_bytes(reply, &head, body);
    return true;
}

bool
web_route_none(const RouteFacts *facts, const HttpRequest *request, Reply *reply)
{
    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        return false;
    if (request->path[0] == '\0')
        return request->is_folder && list_sites(facts, request, reply);
    return web_redirect(facts, request, reply);
}

static bool
find_kind(const char *path, WebKind *out_kind)
{
    static const struct {
        const char *path;
        WebKind kind;
    } paths[] = {{"", WEB_PAGE}, {API, WEB_API}, {API "index", WEB_INDEX}, {API "history", WEB_HISTORY}};

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        if (strcmp(path, paths[i].path) == 0) {
            *out_kind = paths[i].kind;
            return true;
        }
    }
    *out_kind = WEB_IMAGE;
    return g_str_has_prefix(path, API_IMAGES);
}

bool
web_route_site(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange)
{
    WebKind kind;
    WebJob *job;

    if (!find_kind(facts->path, &kind) || (kind == WEB_PAGE && !request->is_folder))
        return false;
    job = job_new(kind, facts, request);
    job->url = page_url(facts->site->config, facts->is_tls, request->host.at, request->host.length);
    if (kind == WEB_IMAGE)
        job->image = g_strdup(facts->path + strlen(API_IMAGES));
    if (request->if_none_match.at != NULL)
        job->if_none_match = g_strndup(request->if_none_match.at, request->if_none_match.length);
    job->view = shelf_peek(facts->site->shelf);
    if (job->view == NULL) {
        *out_exchange = (Exchange){&WEB, job};
        return true;
    }
    answer_view(job, reply);
    job_free(job);
    return true;
}
