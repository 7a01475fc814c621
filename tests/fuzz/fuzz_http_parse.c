// fuzz: repod
// SPDX-License-Identifier: Apache-2.0
/* A request head, and the answer that it gets: promises of http_parse.h that must hold for any bytes. */
#include "repod/response.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_path(const char *path)
{
    g_assert(*path != '/' && *path != '.');
    g_assert(strstr(path, "//") == NULL && strstr(path, "/.") == NULL);
    g_assert(strlen(path) <= HTTP_MAX_PATH);
}

static void
check_answer(const HttpRequest *request, uint64_t file_size)
{
    const struct stat status = {.st_size = (off_t)(file_size & INT64_MAX), .st_ino = 1, .st_mtim = {2, 3}};
    Response response;
    FileFacts facts;

    response_file_facts(request->path, &status, &facts);
    response_file(request, &facts, 1000, request->should_close, &response);
    g_assert(response.head_length < sizeof response.head);
    g_assert(response.length <= facts.size && response.offset <= facts.size - response.length);
    g_assert(memmem(response.head, response.head_length, "\r\n\r\n", 4) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    HttpRequest request;
    HttpRequest prefix;

    switch (http_request_parse(text, size, &request)) {
    case HTTP_PARTIAL:
        g_assert(size < HTTP_MAX_HEAD);
        break;
    case HTTP_COMPLETE:
        g_assert(request.size <= MIN(size, HTTP_MAX_HEAD) && request.refusal == 0);
        g_assert(request.method != HTTP_OTHER);
        check_path(request.path);
        g_assert(!request.is_folder || *request.path == '\0' || g_str_has_suffix(request.path, "/"));
        check_answer(&request, 0);
        check_answer(&request, 10);
        check_answer(&request, UINT64_MAX);
        /* A head that arrives in two parts means the same. */
        g_assert(http_request_parse(text, request.size - 1, &prefix) == HTTP_PARTIAL);
        g_assert(http_request_parse(text, request.size / 2, &prefix) == HTTP_PARTIAL);
        break;
    case HTTP_REFUSED:
        g_assert(request.refusal >= 400 && request.should_close);
        {
            Response response;

            response_status(&request, request.refusal, 1000, true, &response);
        }
        break;
    }
    return 0;
}
