// SPDX-License-Identifier: Apache-2.0
/*
 * The outer form of clear-signed messages and detached signatures (RFC 4880, 4.2, 6.2 and 7), checked
 * strictly. What a signature is worth is GnuPG's business and policy.c's.
 */
#include "sign/armor.h"

#include <stdint.h>
#include <string.h>

#define MESSAGE_BEGIN "-----BEGIN PGP SIGNED MESSAGE-----"
#define SIGNATURE_BEGIN "-----BEGIN PGP SIGNATURE-----"
#define SIGNATURE_END "-----END PGP SIGNATURE-----"
#define PACKET_TAG_SIGNATURE 2u

/* Reader: the lines of a text, without their line ends. */
typedef struct {
    const char *data;
    size_t size;
    size_t position;
    unsigned line; /* number of the line read last, from 1 */
    const char *name;
} Reader;

typedef struct {
    const char *text;
    size_t length;
} Line;

static bool
refuse(const Reader *reader, GError **error, const char *why)
{
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s:%u: %s", reader->name, reader->line, why);
}

static bool
reader_next(Reader *reader, Line *out_line)
{
    const char *start = reader->data + reader->position;
    size_t left = reader->size - reader->position;
    const char *end;

    if (left == 0)
        return false;
    end = memchr(start, '\n', left);
    out_line->text = start;
    out_line->length = end != NULL ? (size_t)(end - start) : left;
    reader->position += out_line->length + (end != NULL ? 1 : 0);
    reader->line++;
    if (out_line->length > 0 && start[out_line->length - 1] == '\r')
        out_line->length--;
    return true;
}

static bool
line_is(const Line *line, const char *text)
{
    return line->length == strlen(text) && memcmp(line->text, text, line->length) == 0;
}

static bool
line_starts_with(const Line *line, const char *text)
{
    return line->length >= strlen(text) && memcmp(line->text, text, strlen(text)) == 0;
}

static bool
line_has_only(const Line *line, size_t from, const char *characters)
{
    for (size_t i = from; i < line->length; i++) {
        if (line->text[i] == '\0' || strchr(characters, line->text[i]) == NULL)
            return false;
    }
    return true;
}

/* packet_is_one_signature: RFC 4880, 4.2: one packet with tag 2 and a definite length that ends with the
 * data. */
static bool
packet_is_one_signature(const uint8_t *data, size_t size)
{
    size_t header, body;

    if (size < 3 || (data[0] & 0x80) == 0)
        return false;
    if ((data[0] & 0x40) != 0) {
        if ((data[0] & 0x3f) != PACKET_TAG_SIGNATURE)
            return false;
        if (data[1] < 192) {
            header = 2;
            body = data[1];
        } else if (data[1] < 224) {
            header = 3;
            body = ((size_t)(data[1] - 192) << 8) + data[2] + 192;
        } else if (data[1] == 255 && size >= 6) {
            header = 6;
            body = (size_t)data[2] << 24 | (size_t)data[3] << 16 | (size_t)data[4] << 8 | data[5];
        } else {
            return false; /* partial lengths are for data packets only (4.2.2.4) */
        }
    } else {
        unsigned length_bytes = 1u << (data[0] & 3); /* 3 is "until the end": refused as indeterminate */

        if (((data[0] >> 2) & 0xf) != PACKET_TAG_SIGNATURE || length_bytes == 8 || size < 1 + length_bytes)
            return false;
        header = 1 + length_bytes;
        body = 0;
        for (unsigned i = 0; i < length_bytes; i++)
            body = body << 8 | data[1 + i];
    }
    return body > 0 && header + body == size;
}

static GBytes *
packet_new(const uint8_t *data, size_t size, const char *name, GError **error)
{
    if (!packet_is_one_signature(data, size)) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: the signature is not exactly one OpenPGP signature",
                       name);
        return NULL;
    }
    return g_bytes_new(data, size);
}

/* read_signature_block: from the line after SIGNATURE_BEGIN to SIGNATURE_END, the packet inside. */
static GBytes *
read_signature_block(Reader *reader, GError **error)
{
    g_autoptr(GString) base64 = g_string_new(NULL);
    bool in_headers = true;
    Line line;

    while (reader_next(reader, &line)) {
        if (line_is(&line, SIGNATURE_END)) {
            gsize size;

            if (base64->len % 4 != 0 || base64->len == 0)
                break;
            g_base64_decode_inplace(base64->str, &size);
            return packet_new((const uint8_t *)base64->str, size, reader->name, error);
        }
        if (in_headers) {
            bool is_header = memchr(line.text, ':', line.length) != NULL;

            in_headers = is_header;
            if (is_header || line.length == 0)
                continue;
        }
        if (line.length == 5 && line.text[0] == '=')
            continue; /* the checksum (6.1), which protects nothing */
        if (line.length == 0 || base64->len + line.length > ARMOR_MAX_SIGNATURE ||
            !line_has_only(&line, 0, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")) {
            refuse(reader, error, "the signature block is malformed");
            return NULL;
        }
        g_string_append_len(base64, line.text, (gssize)line.length);
    }
    refuse(reader, error, "the signature block is cut short or malformed");
    return NULL;
}

/* check_end: only line ends may follow. */
static bool
check_end(Reader *reader, GError **error)
{
    Line line;

    while (reader_next(reader, &line)) {
        if (line.length > 0)
            return refuse(reader, error, "text follows the signature, which does not cover it");
    }
    return true;
}

static bool
check_message_headers(Reader *reader, GError **error)
{
    Line line;

    while (reader_next(reader, &line)) {
        if (line.length == 0)
            return true;
        if (!line_starts_with(&line, "Hash: ") ||
            !line_has_only(&line, strlen("Hash: "), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, "))
            return refuse(reader, error, "only 'Hash:' lines may stand above a clear-signed text");
    }
    return refuse(reader, error, "the signed message is cut short");
}

bool
sign_armor_check_clear(const char *data, size_t size, const char *name, GError **error)
{
    Reader reader = {.data = data, .size = size, .name = name};
    Line line;

    if (size == 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: is empty, a signed message was expected",
                              name);
    if (!reader_next(&reader, &line) || !line_is(&line, MESSAGE_BEGIN))
        return refuse(&reader, error, "does not begin with '" MESSAGE_BEGIN "'");
    if (!check_message_headers(&reader, error))
        return false;
    while (reader_next(&reader, &line)) {
        if (line_is(&line, SIGNATURE_BEGIN)) {
            g_autoptr(GBytes) packet = read_signature_block(&reader, error);

            return packet != NULL && check_end(&reader, error);
        }
        if (line.length > ARMOR_MAX_LINE)
            return refuse(&reader, error, "the line is too long for a clear-signed text");
        if (memchr(line.text, '\0', line.length) != NULL)
            return refuse(&reader, error, "the signed text holds a NUL byte");
        /* 7.1: a line of the text that starts with a dash is written "- -...". */
        if (line_starts_with(&line, "-") && !line_starts_with(&line, "- "))
            return refuse(&reader, error, "a second message or an unescaped dash inside the signed text");
    }
    return refuse(&reader, error, "the signed message is cut short: it has no signature");
}

GBytes *
sign_armor_detached_packet(GBytes *signature, const char *name, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(signature, &size);
    Reader reader = {.data = data, .size = size, .name = name};
    g_autoptr(GBytes) packet = NULL;
    Line line;

    if (size == 0 || size > ARMOR_MAX_SIGNATURE) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: the signature is %s", name,
                       size == 0 ? "empty" : "too large");
        return NULL;
    }
    if (((uint8_t)data[0] & 0x80) != 0)
        return packet_new((const uint8_t *)data, size, name, error);
    if (!reader_next(&reader, &line) || !line_is(&line, SIGNATURE_BEGIN)) {
        refuse(&reader, error, "does not begin with '" SIGNATURE_BEGIN "'");
        return NULL;
    }
    packet = read_signature_block(&reader, error);
    if (packet == NULL || !check_end(&reader, error))
        return NULL;
    return g_steal_pointer(&packet);
}
