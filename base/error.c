// SPDX-License-Identifier: Apache-2.0
/* Helpers that set errors of the shared domain. */
#include "base/error.h"

#include <errno.h>
#include <stdatomic.h>

/* Not G_DEFINE_QUARK(): what that remembers is a race between two threads' first errors. */
GQuark
base_error_quark(void)
{
    static _Atomic GQuark quark;
    GQuark known = atomic_load_explicit(&quark, memory_order_relaxed);

    if (known == 0) {
        known = g_quark_from_static_string("virt-depot-error-quark");
        atomic_store_explicit(&quark, known, memory_order_relaxed);
    }
    return known;
}

static bool set_va(GError **error, BaseError code, const char *format, va_list args) G_GNUC_PRINTF(3, 0);

static bool
set_va(GError **error, BaseError code, const char *format, va_list args)
{
    g_autofree char *message = g_strdup_vprintf(format, args);

    g_set_error_literal(error, BASE_ERROR, (int)code, message);
    return false;
}

bool
error_set(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_va(error, BASE_ERROR_FAILED, format, args);
    va_end(args);
    return false;
}

bool
error_set_code(GError **error, BaseError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_va(error, code, format, args);
    va_end(args);
    return false;
}

bool
error_set_errno(GError **error, const char *format, ...)
{
    int saved = errno;
    BaseError code = saved == ENOENT   ? BASE_ERROR_NOT_FOUND
                     : saved == EEXIST ? BASE_ERROR_EXISTS
                                       : BASE_ERROR_FAILED;
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, BASE_ERROR, (int)code, "%s: %s", what, g_strerror(saved));
    errno = saved;
    return false;
}
