// SPDX-License-Identifier: Apache-2.0
#include "guest/build_modes.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/paths.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
build_mode_warn(const GPtrArray *warnings)
{
    for (guint i = 0; i < warnings->len; i++)
        cli_warn("%s", (const char *)g_ptr_array_index(warnings, i));
}

static FetchOffers *
open_offers(const FetchSources *sources, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    FetchOffers *offers = fetch_offers_open(sources, warnings, error);

    build_mode_warn(warnings);
    return offers;
}

bool
build_mode_list(const FetchSources *sources, const char *ref, const char *arch, BuildListFormat format,
                GError **error)
{
    g_autoptr(FetchOffers) offers = open_offers(sources, error);
    unsigned n = offers == NULL ? 0 : fetch_offers_count(offers);
    g_autofree FetchOffer *list = g_new0(FetchOffer, MAX(n, 1));
    g_autofree char *text = NULL;
    FetchChoice choice = {0};

    if (offers == NULL || (ref != NULL && !fetch_offers_find(offers, ref, arch, &choice, error)))
        return false;
    for (unsigned i = 0; i < n; i++)
        list[i] = fetch_offers_get(offers, i);
    text = build_list_print(list, n, choice.entry, format, g_get_language_names());
    fputs(text, stdout);
    return true;
}

bool
build_mode_notes(const FetchSources *sources, const char *ref, const char *arch, GError **error)
{
    g_autoptr(FetchOffers) offers = open_offers(sources, error);
    g_autofree char *text = NULL;
    FetchChoice choice;

    if (offers == NULL || !fetch_offers_find(offers, ref, arch, &choice, error))
        return false;
    text = build_list_notes(choice.entry, g_get_language_names());
    fputs(text, stdout);
    return true;
}

typedef bool (*EntryFunc)(const FetchOffers *offers, const FetchChoice *choice, GError **error);

/* Every image that is offered, the first failure remembered. */
static bool
each_entry(const FetchOffers *offers, EntryFunc function, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (unsigned i = 0; i < fetch_offers_count(offers); i++) {
        const Index *index = fetch_offers_get(offers, i).index;

        for (guint k = 0; index != NULL && k < index->entries->len; k++) {
            FetchChoice choice = {i, g_ptr_array_index(index->entries, k)};
            g_autoptr(GError) problem = NULL;

            if (!interrupt_check(error))
                return false;
            if (function(offers, &choice, &problem))
                continue;
            cli_warn("%s: %s", choice.entry->name, problem->message);
            if (first == NULL)
                first = g_steal_pointer(&problem);
        }
    }
    if (first == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&first));
    return false;
}

static bool
print_cached(const FetchOffers *offers, const FetchChoice *choice, GError **error G_GNUC_UNUSED)
{
    g_autofree char *line = choice->entry->is_hidden
                                ? g_strdup("")
                                : build_list_cached(choice->entry, fetch_offers_is_cached(offers, choice));

    fputs(line, stdout);
    return true;
}

bool
build_mode_print_cache(const FetchSources *sources, bool has_cache, GError **error)
{
    g_autoptr(FetchOffers) offers = NULL;
    g_autofree char *path = path_cache();

    if (!has_cache) {
        puts("no cache directory");
        return true;
    }
    offers = open_offers(sources, error);
    if (offers == NULL)
        return false;
    printf("cache directory: %s\n", path);
    return each_entry(offers, print_cached, error);
}

static bool
pull(const FetchOffers *offers, const FetchChoice *choice, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(FetchImage) image = fetch_offers_pull(offers, choice, warnings, error);

    build_mode_warn(warnings);
    return image != NULL;
}

bool
build_mode_cache_all(const FetchSources *sources, GError **error)
{
    g_autoptr(FetchOffers) offers = open_offers(sources, error);

    return offers != NULL && each_entry(offers, pull, error);
}

bool
build_mode_delete_cache(GError **error)
{
    uint64_t left;

    if (!fetch_forget_images(&left, error))
        return false;
    if (left > 0) {
        g_autofree char *size = cli_format_size(left);

        cli_note("%s stay in the cache, as VMs need them; see 'virt-depot cache list'", size);
    }
    return true;
}

bool
build_mode_disk_format(const char *path, const char *format, DiskFormat *out_format, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC);
    g_auto(DiskInfo) info = {0};

    if (fd < 0)
        return error_set_errno(error, "%s", path);
    if (!disk_probe(fd, path, &info, error))
        return false;
    *out_format = info.format;
    return format == NULL || strcmp(format, "auto") == 0 ||
           strcmp(format, disk_format_name(info.format)) == 0 ||
           error_set_code(error, BASE_ERROR_USAGE, "%s: is in %s format, not %s", path,
                          disk_format_name(info.format), format);
}

bool
build_mode_kernel(KernelRequest *request, const char *format, const GuestRun *run, GError **error)
{
    g_autofree char *kernel = NULL, *initrd = NULL;

    if (!build_mode_disk_format(request->disk, format, &request->format, error) ||
        !kernel_get(request, run, &kernel, &initrd, error))
        return false;
    puts(kernel);
    if (initrd != NULL)
        puts(initrd);
    else
        cli_warn("%s: no initial RAM disk goes with its kernel", request->disk);
    return true;
}

static int
open_where(const char *where, GError **error)
{
    const char *argument = strchr(where, ':') == NULL ? "" : strchr(where, ':') + 1;
    guint64 number;
    int fd;

    if (strcmp(where, "stream:stdout") == 0) {
        fd = dup(STDOUT_FILENO);
    } else if (strcmp(where, "stream:stderr") == 0) {
        fd = dup(STDERR_FILENO);
    } else if (g_str_has_prefix(where, "fd:") &&
               g_ascii_string_to_unsigned(argument, 10, 0, G_MAXINT, &number, NULL)) {
        fd = dup((int)number);
    } else if (g_str_has_prefix(where, "file:") && *argument != '\0') {
        fd = open(argument, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    } else {
        error_set_code(error, BASE_ERROR_USAGE,
                       "--machine-readable=%s: fd:N, file:PATH, stream:stdout or stream:stderr is expected",
                       where);
        return -1;
    }
    if (fd < 0)
        error_set_errno(error, "--machine-readable=%s", where);
    return fd;
}

bool
build_mode_features(const char *where, GError **error)
{
    static const char TEXT[] = "virt-builder\narch\nconfig-file\ncustomize\njson-list\npxzcat\n";
    g_auto(Fd) fd = open_where(where == NULL ? "stream:stdout" : where, error);

    return fd >= 0 && fd_write_all(fd, TEXT, sizeof TEXT - 1, "--machine-readable", error);
}
