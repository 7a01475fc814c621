// SPDX-License-Identifier: Apache-2.0
/* Runs a fuzz target over every file of the folders named on the command line: the committed seeds are a
 * regression test in every build, with or without libFuzzer. Zero files is a failure. */
#include <glib.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static int
replay_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    int n = 0;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *data = NULL;
        gsize size;

        if (!g_file_get_contents(path, &data, &size, NULL)) {
            fprintf(stderr, "%s: cannot read\n", path);
            return 0;
        }
        LLVMFuzzerTestOneInput((const guint8 *)data, size);
        n++;
    }
    printf("%s: %d inputs\n", folder, n);
    return n;
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (replay_folder(argv[i]) == 0)
            return 1;
    return argc > 1 ? 0 : 1;
}
