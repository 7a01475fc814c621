// SPDX-License-Identifier: Apache-2.0
/* virt-depot push: a repository to a repod that serves it. */
#include "base/cli.h"
#include "base/progress.h"
#include "publish/publish.h"
#include "publish/push.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>

static char *option_token_file, *option_credential, *option_ca;
static gboolean option_insecure_token, option_dry_run, option_json;

static const GOptionEntry OPTIONS[] = {
    {"token-file", 0, 0, G_OPTION_ARG_FILENAME, &option_token_file,
     "Read the token from this file, which nobody else can read", "FILE"},
    {"credential", 0, 0, G_OPTION_ARG_STRING, &option_credential, "Read it from the systemd credential NAME",
     "NAME"},
    {"ca", 0, 0, G_OPTION_ARG_FILENAME, &option_ca,
     "Believe the certificate authorities in this PEM file alone", "FILE"},
    {"insecure-token", 0, 0, G_OPTION_ARG_NONE, &option_insecure_token,
     "Send the token over http to another host: whoever listens can use it", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be sent and change nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static bool
is_local(const char *url)
{
    static const char *const HOSTS[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};

    for (size_t i = 0; i < G_N_ELEMENTS(HOSTS); i++) {
        const size_t length = strlen(HOSTS[i]);

        if (g_ascii_strncasecmp(url, HOSTS[i], length) == 0 && strchr(":/", url[length]) != NULL)
            return true;
    }
    return false;
}

/* read_url: (transfer full) with a slash at its end. */
static char *
read_url(const char *text, GError **error)
{
    if (!net_url_check(text, error))
        return NULL;
    if (!g_str_has_prefix(text, "http://") && !g_str_has_prefix(text, "https://")) {
        error_set_code(error, BASE_ERROR_USAGE, "%s: an http or https URL is expected", text);
        return NULL;
    }
    return g_str_has_suffix(text, "/") ? g_strdup(text) : g_strconcat(text, "/", NULL);
}

/* read_access: who we are. */
static bool
read_access(const char *url, NetAccess *access, GError **error)
{
    g_autofree char *secret = NULL;

    access->ca_file = g_strdup(option_ca);
    access->origin = g_strdup(url);
    if (option_token_file != NULL && option_credential != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--token-file and --credential exclude each other");
    if (option_token_file == NULL && option_credential == NULL)
        return true;
    if (!g_str_has_prefix(url, "https://") && !is_local(url) && !option_insecure_token)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "%s: the token would be sent in the clear; use https, or --insecure-token",
                              url);
    secret = cli_read_credential(option_token_file, option_credential, error);
    if (secret == NULL)
        return false;
    access->credential = g_strconcat("bearer ", secret, NULL);
    explicit_bzero(secret, strlen(secret));
    return true;
}

static void
print_result(const PublishRepo *repo, const char *url, const PublishPush *push)
{
    g_autofree char *size = cli_format_size(push->bytes);
    g_autoptr(Json) json = json_new_object();
    Json *files = json_new_array();

    for (guint i = 0; i < push->missing->len; i++)
        json_append_text(files, ((StoreBlob *)g_ptr_array_index(push->missing, i))->path);
    json_set_text(json, "repository", store_location(repo->store));
    json_set_text(json, "url", url);
    json_set_number(json, "version", (int64_t)push->version);
    json_set_number(json, "version_before", (int64_t)push->there);
    json_set_flag(json, "published", !push->is_same && !option_dry_run);
    json_set_flag(json, "dry_run", option_dry_run);
    json_set_number(json, "files", push->files->len);
    json_set(json, "files_sent", files);
    json_set_number(json, "bytes_sent", (int64_t)push->bytes);
    if (option_json)
        show_repo_json(json);
    else if (push->is_same)
        printf("%s has version %" G_GUINT64_FORMAT " already\n", url, push->version);
    else
        printf("%s version %" G_GUINT64_FORMAT " to %s: %u of %u files, %s\n",
               option_dry_run ? "would push" : "pushed", push->version, url, push->missing->len,
               push->files->len, size);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autofree char *url = read_url(argv[1], error);
    g_autoptr(PublishRepo) repo = NULL;
    g_autoptr(NetClient) client = NULL;
    g_auto(NetAccess) access = {0};
    g_auto(PublishPush) push = {0};
    NetLimits limits;

    if (url == NULL || !read_access(url, &access, error))
        return false;
    if (option_json)
        progress_disable();
    net_limits_init(&limits);
    limits.access = &access;
    client = net_client_new(&limits);
    repo = publish_repo_open_reader(argv[0], error);
    if (repo == NULL || !publish_push_plan(repo, client, url, &push, error))
        return false;
    if (!push.is_same && !option_dry_run &&
        (!publish_push_files(repo, client, url, &push, error) ||
         !publish_push_index(client, url, &push, error)))
        return false;
    print_result(repo, url, &push);
    return true;
}

const Verb PUBLISH_VERB_PUSH = {
    .name = "push",
    .arguments = "DIR URL",
    .summary = "Send a repository to the repod that serves it",
    .description = "Sends the files that the server lacks, then the signed index. An interrupted push goes "
                   "on where it was.",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};
