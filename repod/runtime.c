// SPDX-License-Identifier: Apache-2.0
/* Opens what a configuration names. */
#include "repod/runtime.h"

#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void
site_free(void *data)
{
    Site *site = data;

    fd_close(site->root);
    shelf_unref(site->shelf);
    g_free(site);
}

static Site *
site_new(const ConfigSite *config, GError **error)
{
    g_auto(Fd) root = open(config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_auto(Fd) probe = -1;
    Site *site;

    if (root < 0) {
        error_set_errno(error, "%s", config->dir);
        return NULL;
    }
    probe = file_open_beneath(root, ".", O_RDONLY | O_DIRECTORY, error);
    if (probe < 0) {
        /* A kernel without openat2 shows here, not at each request. */
        g_prefix_error(error, "%s: ", config->dir);
        return NULL;
    }
    site = g_new0(Site, 1);
    site->config = config;
    site->root = fd_steal(&root);
    site->shelf = shelf_new(config);
    return site;
}

/* open_log: -1 with @error set where it cannot be. */
static int
open_log(const char *path, GError **error)
{
    int fd = strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

    if (fd < 0)
        error_set_errno(error, "%s", path);
    return fd;
}

static bool
open_logs(Runtime *runtime, GError **error)
{
    const Config *config = runtime->config;

    if (config->access_log != NULL && (runtime->access_log = open_log(config->access_log, error)) < 0)
        return false;
    if (config->audit_log == NULL)
        runtime->audit_log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else if ((runtime->audit_log = open_log(config->audit_log, error)) < 0)
        return false;
    return true;
}

static bool
load_tls(Runtime *runtime, GError **error)
{
    const Config *config = runtime->config;

    if (config->tls_certificate == NULL)
        return true;
    runtime->tls = tls_context_new(config->tls_certificate, config->tls_key, config->tls_client_ca, error);
    return runtime->tls != NULL;
}

Runtime *
runtime_new_check(Config *config, GError **error)
{
    g_autoptr(Runtime) runtime = g_new0(Runtime, 1);

    atomic_init(&runtime->n_users, 1);
    runtime->config = config_ref(config);
    runtime->sites = g_ptr_array_new_with_free_func(site_free);
    runtime->access_log = runtime->audit_log = -1;
    for (guint i = 0; i < config->sites->len; i++) {
        Site *site = site_new(g_ptr_array_index(config->sites, i), error);

        if (site == NULL)
            return NULL;
        g_ptr_array_add(runtime->sites, site);
    }
    return load_tls(runtime, error) ? g_steal_pointer(&runtime) : NULL;
}

Runtime *
runtime_new(Config *config, GError **error)
{
    g_autoptr(Runtime) runtime = runtime_new_check(config, error);

    return runtime != NULL && open_logs(runtime, error) ? g_steal_pointer(&runtime) : NULL;
}

void
runtime_inherit(Runtime *runtime, const Runtime *before)
{
    for (guint i = 0; i < runtime->sites->len; i++) {
        Site *site = g_ptr_array_index(runtime->sites, i);

        for (guint j = 0; j < before->sites->len; j++) {
            const Site *old = g_ptr_array_index(before->sites, j);

            if (!shelf_fits(old->shelf, site->config))
                continue;
            shelf_unref(site->shelf);
            site->shelf = shelf_ref(old->shelf);
            break;
        }
    }
}

Runtime *
runtime_ref(Runtime *runtime)
{
    atomic_fetch_add_explicit(&runtime->n_users, 1, memory_order_relaxed);
    return runtime;
}

void
runtime_unref(Runtime *runtime)
{
    if (runtime == NULL || atomic_fetch_sub(&runtime->n_users, 1) > 1)
        return;
    g_ptr_array_unref(runtime->sites);
    fd_close(runtime->access_log);
    fd_close(runtime->audit_log);
    tls_context_free(runtime->tls);
    config_unref(runtime->config);
    g_free(runtime);
}

const Site *
runtime_find_site(const Runtime *runtime, const char *host, size_t host_length, const char *path,
                  const char **out_rest)
{
    const ConfigSite *found = config_find_site(runtime->config, host, host_length, path, out_rest);

    for (guint i = 0; found != NULL && i < runtime->sites->len; i++) {
        const Site *site = g_ptr_array_index(runtime->sites, i);

        if (site->config == found)
            return site;
    }
    return NULL;
}
