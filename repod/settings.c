// SPDX-License-Identifier: Apache-2.0
/* What is to be done, from the command line and the configuration together. */
#include "repod/settings.h"

#include "base/file.h"
#include "repod/listen.h"
#include "repod/privileges.h"
#include "repod/runtime.h"

#include <sys/resource.h>

/* Descriptors that are not connections: loops, listeners, folders, logs, refusals. */
#define SPARE_DESCRIPTORS 256

/* A connection that sends a file has two descriptors, and most send none at a time. Where a quarter does not do, some files are
 * answered 503. */
static unsigned
connection_limit(unsigned wanted)
{
    struct rlimit limit;
    rlim_t possible;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = soft;
    }
    possible = limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? (limit.rlim_cur - SPARE_DESCRIPTORS) / 4 * 3
                                                      : SPARE_DESCRIPTORS / 2;
    return (unsigned)MIN((rlim_t)wanted, possible);
}

/* What the command line says outweighs the file. */
static void
apply_options(Config *config, const RepodOptions *options)
{
    const struct {
        unsigned *value;
        unsigned wanted;
    } numbers[] = {
        {&config->threads, options->threads},
        {&config->max_connections, options->max_connections},
        {&config->head_timeout_ms, options->head_timeout_ms},
        {&config->idle_timeout_ms, options->idle_timeout_ms},
        {&config->body_timeout_ms, options->body_timeout_ms},
        {&config->write_timeout_ms, options->write_timeout_ms},
        {&config->request_timeout_ms, options->request_timeout_ms},
        {&config->tls_timeout_ms, options->tls_timeout_ms},
        {&config->stop_timeout_ms, options->stop_timeout_ms},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].wanted != 0)
            *numbers[i].value = numbers[i].wanted;
    config->max_connections = connection_limit(config->max_connections);
    if (options->access_log != NULL) {
        g_free(config->access_log);
        config->access_log = g_strdup(options->access_log);
    }
    if (options->listen != NULL)
        g_ptr_array_set_size(config->listen, 0);
    for (const char *const *at = options->listen; at != NULL && *at != NULL; at++)
        config_add_listen(config, *at, false);
    if (config->listen->len == 0)
        config_add_listen(config, REPOD_DEFAULT_LISTEN, false);
}

static Config *
read_config(const char *path, GError **error)
{
    g_autoptr(GBytes) text = file_read(path, CONFIG_MAX_BYTES, error);

    if (text == NULL)
        return NULL;
    return config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, error);
}

Config *
settings_read(const RepodOptions *options, GError **error)
{
    g_autoptr(Config) config = NULL;

    if (options->config != NULL)
        config = read_config(options->config, error);
    else
        config = config_new_simple(options->root);
    if (config == NULL)
        return NULL;
    apply_options(config, options);
    for (guint i = 0; i < config->listen->len; i++)
        if (!listen_check(((ConfigListen *)g_ptr_array_index(config->listen, i))->address, error))
            return NULL;
    return g_steal_pointer(&config);
}

bool
repod_check(const RepodOptions *options, GError **error)
{
    g_autoptr(Config) config = settings_read(options, error);
    g_autoptr(Runtime) runtime = NULL;

    if (config == NULL || (config->user != NULL && !privileges_check(config->user, error)))
        return false;
    runtime = runtime_new_check(config, error);
    return runtime != NULL;
}
