// SPDX-License-Identifier: Apache-2.0
/* What the fields of an upload mean. Pure. */
#include "repod/upload.h"

/* is_type: without parameters, since these types have none. */
static bool
is_type(HttpText text)
{
    return http_text_is(text, UPLOAD_TYPE) || http_text_is(text, UPLOAD_TYPE_TUS);
}

/* read_complete: "?1" or "?0" (RFC 8941, 3.3.6); false for anything else. */
static bool
read_complete(HttpText text, bool *out_is_complete)
{
    *out_is_complete = http_text_is(text, "?1");
    return *out_is_complete || http_text_is(text, "?0");
}

/* read_ends: where this body begins, and whether it is the last one. */
static bool
read_ends(const HttpRequest *request, UploadPlan *plan)
{
    const bool is_patch = request->method == HTTP_PATCH;

    if (is_patch ? !http_number_parse(request->upload_offset, &plan->offset)
                 : request->upload_offset.at != NULL)
        return false;
    if (request->upload_complete.at != NULL)
        return read_complete(request->upload_complete, &plan->is_last);
    /* A plain PUT is a whole file; a tus client says no more than how long the file is. */
    plan->is_last = !is_patch;
    plan->is_unsure = is_patch;
    return true;
}

static bool
add(uint64_t first, uint64_t second, uint64_t *out_sum)
{
    return !__builtin_add_overflow(first, second, out_sum);
}

int
upload_plan(const HttpRequest *request, uint64_t max, UploadPlan *out_plan)
{
    UploadPlan plan = {0};
    uint64_t end = 0;

    if (request->method == HTTP_PATCH && !is_type(request->content_type))
        return 415;
    if (!read_ends(request, &plan))
        return 400;
    if (request->upload_length.at != NULL && !http_number_parse(request->upload_length, &plan.total))
        return 400;
    plan.has_total = request->upload_length.at != NULL;
    if (!add(plan.offset, request->is_chunked ? 0 : request->length, &end))
        return 400;
    if (plan.is_last && !request->is_chunked) {
        if (plan.has_total && plan.total != end)
            return 400;
        plan.has_total = true;
        plan.total = end;
    }
    if (plan.has_total && end > plan.total)
        return 400;
    if (end > max || (plan.has_total && plan.total > max))
        return 413;
    *out_plan = plan;
    return 0;
}
