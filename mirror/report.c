// SPDX-License-Identifier: Apache-2.0
/* What a run has to tell. */
#include "mirror/run.h"

void
mirror_report_clear(MirrorReport *report)
{
    g_clear_pointer(&report->missing, g_ptr_array_unref);
    g_clear_pointer(&report->warnings, g_ptr_array_unref);
}

bool
mirror_report_files(MirrorReport *report, const GPtrArray *files, const MirrorSum *here, GError **error)
{
    const GError *worst = NULL;
    MirrorSum there = {0};

    g_ptr_array_set_size(report->missing, 0);
    for (guint i = 0; i < files->len; i++) {
        const MirrorFile *file = g_ptr_array_index(files, i);
        const bool is_untrusted = g_error_matches(file->error, BASE_ERROR, BASE_ERROR_UNTRUSTED);

        if (file->sha512 != NULL) {
            there.files++;
            there.bytes += file->got;
            continue;
        }
        g_ptr_array_add(report->missing,
                        g_strdup_printf("%s: %s", file->image,
                                        file->error != NULL ? file->error->message : "not fetched"));
        if (worst == NULL || (is_untrusted && !g_error_matches(worst, BASE_ERROR, BASE_ERROR_UNTRUSTED)))
            worst = file->error;
    }
    report->kept = *here;
    report->fetched = (MirrorSum){there.files - here->files, there.bytes - here->bytes};
    if (report->missing->len == 0)
        return true;
    return error_set_code(error, worst != NULL ? (BaseError)worst->code : BASE_ERROR_FAILED,
                          "%u of %u files are missing: %s", report->missing->len, files->len,
                          (const char *)g_ptr_array_index(report->missing, 0));
}
