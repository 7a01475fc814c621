// SPDX-License-Identifier: Apache-2.0
/*
 * Verify, then parse: with streams.c the only caller of index_parse() and sign_verify_*() for what a source sends, so that no text can reach
 * the parser unverified.
 */
#include "fetch/door.h"

#include "base/digest.h"
#include "fetch/trust_state.h"
#include "sign/sign.h"

#include <string.h>

void
door_index_clear(DoorIndex *opened)
{
    g_clear_pointer(&opened->index, index_free);
    g_clear_pointer(&opened->problems, g_ptr_array_unref);
    g_clear_pointer(&opened->fingerprint, g_free);
    g_clear_pointer(&opened->pin, g_free);
    g_clear_pointer(&opened->digest, g_free);
}

static SignVerified *
verify(const Source *source, const Texts *texts, GError **error)
{
    g_autofree char *verdict = NULL;
    SignCheck check = {.keys = source->keys, .pins = (const char *const *)source->pins, .name = source->uri};

    if (*source->pins == NULL || source->keys == NULL) {
        error_set_code(error, BASE_ERROR_UNTRUSTED,
                       "%s: no key may sign its index at present: its trust names none that is still valid",
                       source->uri);
        return NULL;
    }
    check.verdict = verdict = trust_state_path(source->name, "verdict");
    if (texts->signature == NULL)
        return sign_verify_clear(texts->text, &check, error);
    return sign_verify_detached(texts->text, texts->signature, &check, error);
}

/* A cleartext signature leaves blanks at line ends open to anybody: the version's content is what remains. */
static char *
content_digest(GBytes *text)
{
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA512);
    gsize size, blank_lines = 0;
    const char *data = g_bytes_get_data(text, &size);

    for (const char *line = data, *end = data + size, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline != NULL ? newline : end) - line);

        next = newline != NULL ? newline + 1 : end;
        while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL && line[length - 1] != '\0')
            length--;
        if (length == 0) {
            blank_lines++;
            continue;
        }
        for (; blank_lines > 0; blank_lines--) /* those at the end do not count either */
            digest_update(digest, "\n", 1);
        digest_update(digest, line, length);
        digest_update(digest, "\n", 1);
    }
    return digest_finish(digest);
}

bool
door_open(const Source *source, const Texts *texts, DoorIndex *out_opened, GError **error)
{
    g_auto(DoorIndex) opened = {0};
    g_autoptr(SignVerified) verified = NULL;
    g_autoptr(GBytes) text = NULL;

    if (source->is_unsigned) {
        text = index_body(texts->text, NULL); /* armour proves nothing here */
    } else {
        verified = verify(source, texts, error);
        if (verified == NULL)
            return false;
        text = g_bytes_ref(verified->text);
        opened.fingerprint = g_strdup(verified->fingerprint);
        opened.pin = g_strdup(verified->pin);
        opened.signed_at = verified->signed_at;
        opened.sig_expires = verified->expires_at;
    }
    opened.digest = content_digest(text);
    opened.index = index_parse(text, source->uri, &opened.problems, error);
    if (opened.index == NULL)
        return false;
    if (source->repo_id != NULL && g_strcmp0(source->repo_id, opened.index->repo_id) != 0)
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: this is repository %s, but the source was added as %s; if that is right, remove "
            "the source and add it again",
            source->uri, opened.index->repo_id == NULL ? "without an id" : opened.index->repo_id,
            source->repo_id);
    *out_opened = opened;
    opened = (DoorIndex){0};
    return true;
}
