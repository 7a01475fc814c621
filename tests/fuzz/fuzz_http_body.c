// fuzz: repod
// SPDX-License-Identifier: Apache-2.0
/* A body cut anywhere gives the same content and the same end. The first byte says where to cut. */
#include "repod/http_body.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    GString *content;
    size_t used;
    HttpBodyVerdict verdict;
} Outcome;

static Outcome
read_in_steps(const char *text, size_t size, size_t step)
{
    const HttpRequest request = {.has_body = true, .is_chunked = true};
    Outcome outcome = {g_string_new(NULL), 0, BODY_MORE};
    HttpBody body;

    http_body_init(&body, &request);
    do {
        size_t given = MIN(step, size - outcome.used), used = 0;
        HttpText piece;

        outcome.verdict = http_body_read(&body, text + outcome.used, given, &used, &piece);
        g_assert(used <= given && (outcome.verdict != BODY_MORE || used == given));
        outcome.used += used;
        if (outcome.verdict == BODY_DATA) {
            g_assert(piece.length > 0 && piece.length <= used);
            g_string_append_len(outcome.content, piece.at, (gssize)piece.length);
        }
    } while (outcome.verdict != BODY_DONE && outcome.verdict != BODY_BAD && outcome.used < size);
    return outcome;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Outcome whole, cut;

    if (size == 0)
        return 0;
    whole = read_in_steps((const char *)data + 1, size - 1, size);
    cut = read_in_steps((const char *)data + 1, size - 1, 1 + data[0] % 16);
    g_assert((whole.verdict == BODY_BAD) == (cut.verdict == BODY_BAD));
    if (whole.verdict != BODY_BAD) {
        g_assert(whole.used == cut.used);
        g_assert(g_string_equal(whole.content, cut.content));
    }
    g_string_free(whole.content, TRUE);
    g_string_free(cut.content, TRUE);
    return 0;
}
