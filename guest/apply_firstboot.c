// SPDX-License-Identifier: Apache-2.0
/* Leaves scripts in the guest that it runs when it boots the next time. */
#include "guest/apply.h"

#include "guest/firstboot.h"

#include <string.h>

#define SECRET_FOLDER_MODE 0700 /* scripts may hold secrets */

static bool
find_init(const ApplyContext *c, FirstbootInit *out_init, GError **error)
{
    for (int init = 0; init < FIRSTBOOT_INITS; init++) {
        const char *const *proof = firstboot_proof((FirstbootInit)init);

        for (unsigned i = 0; proof[i] != NULL; i++) {
            if (guestfs_exists(c->g, proof[i]) == 1) {
                *out_init = (FirstbootInit)init;
                return true;
            }
        }
    }
    return error_set(error, "%s: cannot %s: the guest has neither systemd nor OpenRC nor sysv init", c->label,
                     c->op->what);
}

static bool
put_file(const ApplyContext *c, const FirstbootFile *file, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(file->path);
    Appliance *g = c->g;

    if (guestfs_mkdir_p(g, folder) == -1)
        return apply_fail(c, error);
    if (file->link != NULL)
        return apply_done(c, guestfs_ln_sf(g, file->link, file->path), error) &&
               apply_label(c, file->path, error);
    return apply_done(c, guestfs_write(g, file->path, file->text, strlen(file->text)), error) &&
           apply_done(c, guestfs_chmod(g, file->mode, file->path), error) &&
           apply_label(c, file->path, error);
}

static bool
put_script(const ApplyContext *c, GError **error)
{
    g_auto(GStrv) old = guestfs_glob_expand(c->g, FIRSTBOOT_TOP "/{scripts,done}/*");
    g_autofree char *name = old != NULL ? firstboot_name(c->op->value, old) : NULL;
    g_autofree char *path = name != NULL ? g_build_filename(FIRSTBOOT_SCRIPTS, name, NULL) : NULL;
    const FirstbootFile script = {path, c->op->text, NULL, 0700};

    return path != NULL ? put_file(c, &script, error) : apply_fail(c, error);
}

bool
apply_firstboot(const ApplyContext *c, GError **error)
{
    FirstbootInit init = FIRSTBOOT_SYSTEMD;

    if (!find_init(c, &init, error))
        return false;
    for (const FirstbootFile *file = firstboot_files(init); file->path != NULL; file++)
        if (!put_file(c, file, error))
            return false;
    return apply_done(c, guestfs_mkdir_p(c->g, FIRSTBOOT_SCRIPTS), error) &&
           apply_done(c, guestfs_chmod(c->g, SECRET_FOLDER_MODE, FIRSTBOOT_SCRIPTS), error) &&
           put_script(c, error);
}
