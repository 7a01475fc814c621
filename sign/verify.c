// SPDX-License-Identifier: Apache-2.0
/*
 * Verification: outer form, a private home with the pinned keys alone, GnuPG's facts, policy. Only when all
 * agree does the signed text leave this file.
 */
#include "sign/armor.h"
#include "sign/gpg.h"
#include "sign/home.h"
#include "sign/policy.h"
#include "sign/sign.h"
#include "sign/verdict.h"

#include <time.h>

void
sign_verified_free(SignVerified *verified)
{
    if (verified == NULL)
        return;
    g_clear_pointer(&verified->text, g_bytes_unref);
    g_free(verified->fingerprint);
    g_free(verified->pin);
    g_free(verified);
}

bool
sign_is_fingerprint(const char *text)
{
    unsigned digits = 0;

    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        if (!g_ascii_isxdigit(*text))
            return false;
        digits++;
    }
    return digits == SIGN_FINGERPRINT_DIGITS;
}

char *
sign_normal_fingerprint(const char *text, GError **error)
{
    g_autofree char *normal = NULL;
    char *end;

    if (!sign_is_fingerprint(text)) {
        error_set_code(error, BASE_ERROR_USAGE,
                       "'%s': not a full fingerprint of 40 hex digits (gpg --fingerprint shows it)", text);
        return NULL;
    }
    end = normal = g_ascii_strup(text, -1);
    for (const char *from = normal; *from != '\0'; from++) {
        if (*from != ' ')
            *end++ = *from;
    }
    *end = '\0';
    return g_steal_pointer(&normal);
}

static bool
check_size(GBytes *bytes, size_t max, const char *name, GError **error)
{
    if (g_bytes_get_size(bytes) <= max)
        return true;
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: larger than %zu bytes", name, max);
}

/* normal_pins: (transfer full) the pins in upper case; one that is no full fingerprint could never match. */
static char **
normal_pins(const char *const *pins, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

    for (; *pins != NULL; pins++) {
        char *normal = sign_normal_fingerprint(*pins, error);

        if (normal == NULL)
            return NULL;
        g_ptr_array_add(list, normal);
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}

static bool
is_pinned(const SignKey *key, const char *const *pins)
{
    for (; *pins != NULL; pins++) {
        if (sign_key_subkey(key, *pins) != NULL)
            return true;
    }
    return false;
}

/* import_pinned: the keys into the home, and out again whatever is not pinned. */
static bool
import_pinned(Gpg *gpg, const SignCheck *check, const char *const *pins, GError **error)
{
    g_autoptr(GPtrArray) list = NULL;
    unsigned found = 0;

    if (!sign_gpg_import(gpg, check->keys, error))
        return false;
    list = sign_gpg_list(gpg, error);
    if (list == NULL)
        return false;
    for (guint i = 0; i < list->len; i++) {
        const SignKey *key = g_ptr_array_index(list, i);

        if (is_pinned(key, pins))
            found++;
        else if (!sign_gpg_delete(gpg, sign_key_primary(key)->fingerprint, error))
            return false;
    }
    if (found == 0)
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: the public key of pin %s is not at hand; add the source again with its key", check->name,
            pins[0] != NULL ? pins[0] : "(none given)");
    return true;
}

/* ask_gpg: @message is clear-signed, or where @text is given a detached signature of it. @pins: normal ones. */
static SignVerified *
ask_gpg(GBytes *message, GBytes *text, const SignCheck *check, const char *const *pins, GError **error)
{
    g_autoptr(SignVerified) verified = g_new0(SignVerified, 1);
    g_autoptr(GPtrArray) signatures = NULL;
    g_autoptr(GBytes) signed_text = NULL;
    g_auto(Home) home = HOME_NONE;
    g_autoptr(Gpg) gpg = NULL;
    const GpgSignature *signature;
    const char *pin;

    if (!sign_home_init_temporary(&home, error))
        return NULL;
    gpg = sign_gpg_open(home.path, error);
    if (gpg == NULL || !import_pinned(gpg, check, pins, error))
        return NULL;
    signatures = sign_gpg_verify(gpg, message, text, &signed_text, error);
    if (signatures == NULL) {
        g_prefix_error(error, "%s: ", check->name);
        if (error != NULL)
            (*error)->code = BASE_ERROR_UNTRUSTED;
        return NULL;
    }
    if (!sign_policy_check(signatures, pins, check->policy, check->name, &pin, error))
        return NULL;
    signature = g_ptr_array_index(signatures, 0);
    verified->text = g_bytes_ref(text != NULL ? text : signed_text);
    verified->fingerprint = g_strdup(signature->primary);
    verified->pin = g_strdup(pin);
    verified->signed_at = signature->signed_at;
    verified->expires_at = signature->expires_at;
    verified->key_expires_at = signature->key_expires_at;
    return g_steal_pointer(&verified);
}

/* verify: what was found out about the very same before, or GnuPG's word. */
static SignVerified *
verify(GBytes *message, GBytes *text, const SignCheck *check, GError **error)
{
    g_auto(GStrv) pins = normal_pins(check->pins, error);
    g_autofree char *id = NULL;
    SignVerified *verified = NULL;

    if (pins == NULL || !check_size(check->keys, SIGN_MAX_KEYS, check->name, error))
        return NULL;
    if (check->verdict != NULL) {
        id = sign_verdict_id(message, text, check, (const char *const *)pins);
        verified = sign_verdict_lookup(check->verdict, id, text, (int64_t)time(NULL));
    }
    if (verified != NULL)
        return verified;
    verified = ask_gpg(message, text, check, (const char *const *)pins, error);
    if (verified != NULL && check->verdict != NULL)
        sign_verdict_store(check->verdict, id, text, verified);
    return verified;
}

SignVerified *
sign_verify_clear(GBytes *message, const SignCheck *check, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(message, &size);

    if (!check_size(message, SIGN_MAX_TEXT, check->name, error) ||
        !sign_armor_check_clear(data, size, check->name, error))
        return NULL;
    return verify(message, NULL, check, error);
}

SignVerified *
sign_verify_detached(GBytes *text, GBytes *signature, const SignCheck *check, GError **error)
{
    g_autoptr(GBytes) packet = NULL;

    if (!check_size(text, SIGN_MAX_TEXT, check->name, error))
        return NULL;
    packet = sign_armor_detached_packet(signature, check->name, error);
    return packet != NULL ? verify(packet, text, check, error) : NULL;
}

SignVerified *
sign_verify_own(const char *home, GBytes *text, GBytes *signature, const char *name, GError **error)
{
    g_autofree char *fingerprint = sign_key_fingerprint(home, error);
    const char *pins[] = {fingerprint, NULL};
    g_autoptr(GBytes) keys = fingerprint != NULL ? sign_key_export(home, error) : NULL;
    const SignCheck check = {.keys = keys, .pins = pins, .policy = SIGN_ALLOW_EXPIRED, .name = name};

    return keys != NULL ? sign_verify_detached(text, signature, &check, error) : NULL;
}
