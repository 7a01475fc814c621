// SPDX-License-Identifier: Apache-2.0
/* Bodies of stated length, and chunked ones byte by byte between their data: whatever two implementations could read
 * differently (blanks, signs, bare line feeds, too many digits) is refused. */
#include "repod/http_body.h"

#include <glib.h>

#define MAX_CHUNK_DIGITS 15u /* hex: 2^60 */
#define MAX_CHUNK_LINE 256u  /* with its extensions, which nobody sends */
#define MAX_TRAILERS 8192u   /* bytes; they are read over */

void
http_body_init(HttpBody *body, const HttpRequest *request)
{
    *body = (HttpBody){
        .state = request->is_chunked ? BODY_CHUNK_SIZE
                 : request->has_body ? BODY_LENGTH
                                     : BODY_OVER,
        .left = request->length,
    };
}

/* A byte of a line after its start. Returns whether the line is over; false with *@out_is_bad for a bare CR or LF, a
 * control byte or one too many. */
static bool
ends_line(HttpBody *body, char c, unsigned max, bool *out_is_bad)
{
    bool is_end = body->has_cr && c == '\n';

    *out_is_bad = ++body->line_size > max || body->has_cr != (c == '\n') ||
                  ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
    body->has_cr = c == '\r';
    return is_end && !*out_is_bad;
}

static bool
read_chunk_size(HttpBody *body, char c)
{
    int digit = g_ascii_xdigit_value(c);
    bool is_bad;

    if (digit >= 0 && !body->has_extension && !body->has_cr) {
        body->left = body->left << 4 | (unsigned)digit;
        body->line_size++;
        return ++body->n_digits <= MAX_CHUNK_DIGITS;
    }
    if (body->n_digits == 0)
        return false;
    if (!body->has_extension && c != '\r' && c != '\n') {
        if (c != ';') /* RFC 9112, 7.1.1 allows blanks before it, which smuggling lives on */
            return false;
        body->has_extension = true;
    }
    if (ends_line(body, c, MAX_CHUNK_LINE, &is_bad)) {
        body->state = body->left > 0 ? BODY_CHUNK_DATA : BODY_TRAILER;
        body->line_size = body->n_digits = 0;
        body->has_extension = false;
    }
    return !is_bad;
}

static bool
read_chunk_end(HttpBody *body, char c)
{
    bool is_bad;

    if (ends_line(body, c, 2, &is_bad)) {
        body->state = BODY_CHUNK_SIZE;
        body->line_size = 0;
    }
    return !is_bad;
}

/* An empty line ends the body. line_size counts all trailers, n_digits the bytes of the present line's name. */
static bool
read_trailer(HttpBody *body, char c)
{
    bool is_bad;

    if (ends_line(body, c, MAX_TRAILERS, &is_bad)) {
        if (body->n_digits == 0)
            body->state = BODY_OVER;
        else if (!body->has_colon)
            return false;
        body->n_digits = 0;
        body->has_colon = false;
    } else if (c != '\r' && c != '\n' && !body->has_colon) {
        body->has_colon = c == ':' && body->n_digits > 0;
        body->n_digits++;
        return !is_bad && (body->has_colon || http_is_token_char(c));
    }
    return !is_bad;
}

static HttpBodyVerdict
hand_out(HttpBody *body, const char *at, size_t size, HttpText *out_piece)
{
    *out_piece = (HttpText){at, (size_t)MIN(body->left, (uint64_t)size)};
    body->left -= out_piece->length;
    body->total += out_piece->length;
    if (body->left == 0)
        body->state = body->state == BODY_LENGTH ? BODY_OVER : BODY_CHUNK_END;
    return BODY_DATA;
}

HttpBodyVerdict
http_body_read(HttpBody *body, const char *data, size_t size, size_t *out_used, HttpText *out_piece)
{
    size_t used = 0;

    *out_piece = (HttpText){NULL, 0};
    while (body->state != BODY_OVER && used < size) {
        bool is_ok = true;

        switch (body->state) {
        case BODY_LENGTH:
        case BODY_CHUNK_DATA: {
            HttpBodyVerdict verdict = hand_out(body, data + used, size - used, out_piece);

            *out_used = used + out_piece->length;
            return verdict;
        }
        case BODY_CHUNK_SIZE:
            is_ok = read_chunk_size(body, data[used]);
            break;
        case BODY_CHUNK_END:
            is_ok = read_chunk_end(body, data[used]);
            break;
        case BODY_TRAILER:
            is_ok = read_trailer(body, data[used]);
            break;
        case BODY_OVER:
            break;
        }
        used++;
        if (!is_ok) {
            *out_used = used;
            return BODY_BAD;
        }
    }
    *out_used = used;
    return body->state == BODY_OVER ? BODY_DONE : BODY_MORE;
}
