// SPDX-License-Identifier: Apache-2.0
/* Prints and parses STATE/accel.json, the remembered verdict on KVM. */
#include "guest/accel.h"

#include "base/json.h"

#include <string.h>

#define REASON_MAX 500u /* one line for a warning; a damaged file could hold anything */

char *
accel_memory_print(const char *facts, const char *reason)
{
    g_autoptr(Json) object = json_new_object();

    json_set_text(object, "facts", facts);
    json_set_text(object, "accel", guest_accel_name(reason == NULL ? GUEST_ACCEL_KVM : GUEST_ACCEL_TCG));
    json_set_text(object, "reason", reason);
    return json_print(object);
}

bool
accel_memory_parse(const char *text, size_t size, const char *facts, GuestAccel *out_accel, char **out_reason)
{
    g_autoptr(Json) object = json_parse(text, size, "accel.json", NULL);
    const char *remembered, *accel, *reason;

    if (object == NULL)
        return false;
    remembered = json_get_text(object, "facts");
    accel = json_get_text(object, "accel");
    reason = json_get_text(object, "reason");
    if (g_strcmp0(remembered, facts) != 0 || accel == NULL)
        return false;
    if (strcmp(accel, "kvm") == 0 && reason == NULL) {
        *out_accel = GUEST_ACCEL_KVM;
        *out_reason = NULL;
        return true;
    }
    if (strcmp(accel, "tcg") == 0 && reason != NULL && strlen(reason) <= REASON_MAX &&
        strpbrk(reason, "\r\n\033") == NULL) {
        *out_accel = GUEST_ACCEL_TCG;
        *out_reason = g_strdup(reason);
        return true;
    }
    return false;
}
