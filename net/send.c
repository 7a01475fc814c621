// SPDX-License-Identifier: Apache-2.0
/* Requests that send something: whatever the server says to one is its answer. */
#include "net/curl.h"

#include "base/cli.h"
#include "base/fd.h"
#include "base/interrupt.h"

#include <stdio.h>
#include <string.h>

#define MAX_TEXT ((size_t)1024) /* of an answer: what it says first */
#define EXPECT_MS 10000L        /* how long to wait for leave to send */

struct NetClient {
    CURL *curl;
    const NetLimits *limits;
    char message[CURL_ERROR_SIZE];
    const NetSend *send; /* the request at hand */
    uint64_t sent;
    GString *text; /* the beginning of its answer */
    NetAnswer answer;
};

NetClient *
net_client_new(const NetLimits *limits)
{
    NetClient *client = g_new0(NetClient, 1);

    client->curl = net_curl_new();
    client->limits = limits;
    client->text = g_string_new(NULL);
    return client;
}

void
net_client_free(NetClient *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    g_string_free(client->text, TRUE);
    net_answer_clear(&client->answer);
    g_free(client);
}

const NetLimits *
net_client_limits(const NetClient *client)
{
    return client->limits;
}

void
net_client_pause(NetClient *client, unsigned failures)
{
    net_curl_pause(client->curl, client->limits, failures);
}

static size_t
on_read(char *data, size_t one, size_t count, void *context)
{
    NetClient *client = context;
    const NetSend *send = client->send;
    const size_t size = (size_t)MIN(send->size - client->sent, one * count);

    if (!fd_pread_exact(send->fd, data, size, send->offset + client->sent, "upload", NULL))
        return CURL_READFUNC_ABORT;
    client->sent += size;
    progress_set(send->progress, send->progress_base + client->sent);
    return size;
}

/* The request is sent again, on a connection that still lives. */
static int
on_seek(void *context, curl_off_t offset, int origin)
{
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    ((NetClient *)context)->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t
on_text(char *data, size_t one, size_t count, void *context)
{
    GString *text = ((NetClient *)context)->text;

    g_string_append_len(text, data, (gssize)MIN(one * count, MAX_TEXT - text->len));
    return one * count;
}

static size_t
on_answer(char *line, size_t one, size_t count, void *context)
{
    NetAnswer *answer = &((NetClient *)context)->answer;
    size_t size = one * count;
    char *value;

    if ((value = net_curl_header_value(line, size, "ETag")) != NULL) {
        net_curl_replace(&answer->etag, value);
    } else if ((value = net_curl_header_value(line, size, "Upload-Offset")) != NULL) {
        answer->has_offset = g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64, &answer->offset, NULL);
        g_free(value);
    }
    return size;
}

static void
set_send(NetClient *client, const NetSend *send)
{
    CURL *curl = client->curl;

    /* A server that reads what it has of a large file again, or writes all of it to the disk, is silent for long. */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 10 * (long)client->limits->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, EXPECT_MS);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, send->method);
    curl_easy_setopt(curl, CURLOPT_NOBODY, (long)!send->has_body);
    if (send->has_body) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)send->size);
        curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, NET_CURL_BUFFER);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, client);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, client);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_text);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
}

bool
net_client_send(NetClient *client, const NetSend *send, NetAnswer *out_answer, GError **error)
{
    struct curl_slist *headers = NULL;
    CURLcode code;
    long status = 0;

    for (const char *const *header = send->headers; header != NULL && *header != NULL; header++)
        headers = curl_slist_append(headers, *header);
    client->send = send;
    client->sent = 0;
    client->message[0] = '\0';
    g_string_truncate(client->text, 0);
    net_answer_clear(&client->answer);
    client->answer = (NetAnswer){0};
    net_curl_set_common(client->curl, send->url, client->limits, client->message, headers);
    net_curl_set_access(client->curl, send->url, client->limits->access);
    set_send(client, send);
    code = curl_easy_perform(client->curl);
    curl_slist_free_all(headers);
    if (!interrupt_check(error))
        return false;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    /* A server that refuses need not read the rest of a body, so sending it may fail although there is an answer. */
    if (code != CURLE_OK && status < 400)
        return error_set_code(
            error, net_curl_is_transient(code, status) ? BASE_ERROR_UNAVAILABLE : BASE_ERROR_FAILED, "%s: %s",
            send->url, *client->message != '\0' ? client->message : curl_easy_strerror(code));
    *out_answer = client->answer;
    client->answer = (NetAnswer){0};
    out_answer->status = (int)status;
    client->text->str[strcspn(client->text->str, "\r\n")] = '\0';
    out_answer->text = cli_safe(client->text->str);
    return true;
}
