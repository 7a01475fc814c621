// SPDX-License-Identifier: Apache-2.0
/* Customizes disk files that stand on their own: work copies in one appliance launch, which take the files' names together. */
#include "guest/ops.h"
#include "guest/workcopy.h"

static void
works_free(WorkCopy *works, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        work_copy_clear(&works[i]);
    g_free(works);
}

/* Every guest would put its files over those of the one before. */
static bool
check_copy_out(const GuestOps *ops, unsigned n, GError **error)
{
    for (unsigned i = 0; n > 1 && ops != NULL && i < ops->ops->len; i++)
        if (((const GuestOp *)ops->ops->pdata[i])->row->kind == OP_COPY_OUT)
            return error_set_code(error, BASE_ERROR_USAGE,
                                  "--copy-out: of several guests the same files would replace one another; "
                                  "give one guest at a time");
    return true;
}

static bool
open_works(GuestEdit *edits, const char *const *formats, unsigned n, WorkMode mode, WorkCopy *works,
           GError **error)
{
    for (unsigned i = 0; i < n; i++) {
        if (!work_copy_open(edits[i].path, formats[i], mode, &works[i], error))
            return false;
        edits[i].path = works[i].path;
        edits[i].format = works[i].format;
    }
    return true;
}

bool
guest_customize_disks(const GuestEdit *edits, const char *const *formats, unsigned n, bool is_in_place,
                      const GuestRun *run, char **out_reason, GError **error)
{
    g_autofree GuestEdit *ours = g_memdup2(edits, n * sizeof *edits);
    WorkCopy *works = g_new0(WorkCopy, MAX(n, 1));
    bool is_ok = true;

    *out_reason = NULL;
    for (unsigned i = 0; i < n; i++)
        works[i] = (WorkCopy)WORK_COPY_NONE;
    for (unsigned i = 0; is_ok && i < n; i++)
        is_ok = check_copy_out(edits[i].ops, n, error);
    is_ok = is_ok && open_works(ours, formats, n, is_in_place ? WORK_IN_PLACE : WORK_COPY, works, error) &&
            guest_customize(ours, n, run, out_reason, error);
    for (unsigned i = 0; is_ok && i < n; i++)
        is_ok = work_copy_publish(&works[i], error);
    works_free(works, n);
    return is_ok;
}

bool
guest_check_disk(const char *path, const char *format, GError **error)
{
    g_auto(WorkCopy) work = WORK_COPY_NONE;

    return work_copy_open(path, format, WORK_READ_ONLY, &work, error);
}
