// SPDX-License-Identifier: Apache-2.0
/* What libvirt's own files name, without asking libvirt: domains, snapshots, pools. */
#include "fetch/uses_look.h"

#include "base/file.h"
#include "fetch/cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_XML (8u << 20) /* a domain with its metadata is far below 1 MiB */
#define SYSTEM_CONF "/etc/libvirt"

typedef struct {
    Uses *uses;
    const char *path; /* of the file */
    const char *remedy;
} XmlFile;

/* A VM may also have an image itself as its disk, read-only or by mistake. */
static void
look_at_disk(const XmlFile *file, const char *path)
{
    if (!g_path_is_absolute(path))
        return;
    uses_look_into_named(file->uses, &(NamedDisk){.path = path, .remedy = file->remedy});
    uses_add(file->uses, path, file->path);
}

/* The name of an image is that of nothing else; so it does not matter which pool shows the folder of images. */
static void
look_at_volume(const XmlFile *file, const char *name)
{
    g_autofree char *images = cache_images_folder(), *path = g_build_filename(images, name, NULL);

    if (file_is_name(name))
        uses_add(file->uses, path, file->path);
}

static void
on_element(GMarkupParseContext *context G_GNUC_UNUSED, const char *element, const char **names,
           const char **values, void *data, GError **error G_GNUC_UNUSED)
{
    /* Loaders, logs and sockets are no disks; but they do no harm, and forgetting one that is does. */
    for (unsigned i = 0; strcmp(element, "source") == 0 && names[i] != NULL; i++)
        if (strcmp(names[i], "file") == 0 || strcmp(names[i], "dev") == 0)
            look_at_disk(data, values[i]);
        else if (strcmp(names[i], "volume") == 0)
            look_at_volume(data, values[i]);
}

/* The folder of a pool, or its device. */
static void
on_text(GMarkupParseContext *context, const char *text, gsize size, void *data, GError **error G_GNUC_UNUSED)
{
    g_autofree char *value = g_strstrip(g_strndup(text, size));
    const XmlFile *file = data;

    if (strcmp(g_markup_parse_context_get_element(context), "path") != 0 || !g_path_is_absolute(value))
        return;
    if (g_file_test(value, G_FILE_TEST_IS_DIR))
        uses_look_into_folder(file->uses, value, USES_LEVELS);
    else
        uses_look_into(file->uses, value);
}

static void
look_into_xml(Uses *uses, const char *path)
{
    static const GMarkupParser PARSER = {.start_element = on_element, .text = on_text};
    g_autofree char *real = realpath(path, NULL); /* of what starts by itself there is a link, too */
    g_autofree char *remedy = g_strconcat("take it out of ", path, NULL);
    XmlFile file = {uses, real == NULL ? path : real, remedy};
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) text = file_read(path, MAX_XML, &problem);
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&PARSER, G_MARKUP_DEFAULT_FLAGS, &file, NULL);
    gsize size;
    const char *data = text == NULL ? NULL : g_bytes_get_data(text, &size);

    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND) ||
        (text == NULL && access(path, R_OK) < 0 && uses_is_of_others(path)))
        return;
    if (text == NULL)
        uses_add_doubt(uses, NULL, "%s; make it readable for who runs this", problem->message);
    else if (!g_markup_parse_context_parse(context, data, (gssize)size, &problem) ||
             !g_markup_parse_context_end_parse(context, &problem))
        uses_add_doubt(uses, NULL, "%s: %s; mend it with 'virsh define'", path, problem->message);
}

static void
look_into_conf(Uses *uses, const char *folder, unsigned levels)
{
    g_auto(GStrv) names = uses_list(uses, folder, false, NULL);

    for (char **leaf = names; leaf != NULL && *leaf != NULL; leaf++) {
        g_autofree char *path = g_build_filename(folder, *leaf, NULL);

        if (g_str_has_suffix(*leaf, ".xml"))
            look_into_xml(uses, path);
        else if (levels > 0 && g_file_test(path, G_FILE_TEST_IS_DIR) &&
                 !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
            look_into_conf(uses, path, levels - 1);
    }
}

void
uses_look_at_libvirt(Uses *uses)
{
    static const char *const SYSTEM[] = {SYSTEM_CONF "/qemu", SYSTEM_CONF "/storage", "/run/libvirt/qemu",
                                         "/var/lib/libvirt/qemu/snapshot", NULL};
    g_autofree char *session = g_build_filename(g_get_user_config_dir(), "libvirt", NULL);
    g_autofree char *running = g_build_filename(g_get_user_runtime_dir(), "libvirt", NULL);

    for (unsigned i = 0; SYSTEM[i] != NULL; i++)
        look_into_conf(uses, SYSTEM[i], USES_LEVELS);
    look_into_conf(uses, session, USES_LEVELS);
    look_into_conf(uses, running, USES_LEVELS);
}
