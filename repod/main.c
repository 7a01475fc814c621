// SPDX-License-Identifier: Apache-2.0
/* The daemon's command line and exit status. */
#include "repod/repod.h"

#include <stdio.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2

typedef struct {
    char *config;
    gboolean check_config;
    char **listen;
    int threads;
    char *port_file;
    char *access_log;
    int max_connections;
    gboolean show_version;
} Arguments;

/* What is to be served, for messages: the folder, borrowed from @argv, or the configuration; or NULL with @error set. */
static const char *
read_arguments(int argc, char **argv, Arguments *out, GError **error)
{
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &out->config, "Read repod.conf(5) from FILE", "FILE"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &out->check_config,
         "See whether that can be served, and end", NULL},
        {"listen", 'l', 0, G_OPTION_ARG_STRING_ARRAY, &out->listen,
         "Where to listen, port 0 for any free one (default " REPOD_DEFAULT_LISTEN "); may be repeated",
         "ADDRESS:PORT|unix:PATH"},
        {"threads", 't', 0, G_OPTION_ARG_INT, &out->threads, "Worker threads (default: one a CPU)", "N"},
        {"port-file", 0, 0, G_OPTION_ARG_FILENAME, &out->port_file, "Write the port here when ready", "FILE"},
        {"access-log", 0, 0, G_OPTION_ARG_FILENAME, &out->access_log,
         "Append a line per request; - for stdout", "FILE"},
        {"max-connections", 0, 0, G_OPTION_ARG_INT, &out->max_connections,
         "Refuse more than this (default 10000)", "N"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &out->show_version, "Show the version", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[DIR]");

    g_option_context_set_summary(
        context, "Serve the image repository in folder DIR, or those of a configuration, over HTTP.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return NULL;
    if (out->show_version)
        return "";
    if (out->threads < 0 || out->max_connections < 0) {
        error_set(error, "--threads and --max-connections take a positive number");
        return NULL;
    }
    if (argc != (out->config == NULL ? 2 : 1)) {
        error_set(error, "exactly one folder is needed, or --config instead of it; see repod --help");
        return NULL;
    }
    return out->config == NULL ? argv[1] : out->config;
}

static int
fail(const GError *error, int status)
{
    fprintf(stderr, "repod: %s\n", error->message);
    return g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE) ? EXIT_USAGE : status;
}

static void
report(const char *message)
{
    fprintf(stderr, "repod: %s\n", message);
}

static const char *
name(const RepodOptions *options)
{
    return options->config != NULL ? options->config : options->root;
}

static int
check(const RepodOptions *options)
{
    g_autoptr(GError) error = NULL;

    if (!repod_check(options, &error))
        return fail(error, EXIT_FAILED);
    printf("%s: can be served\n", name(options));
    return 0;
}

static int
serve(const RepodOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RepodServer) server = repod_new(options, &error);

    if (server == NULL)
        return fail(error, EXIT_FAILED);
    fprintf(stderr, "repod: serving %s on %s\n", name(options), repod_uris(server));
    return repod_run(server, &error) ? 0 : fail(error, EXIT_FAILED);
}

int
main(int argc, char **argv)
{
    Arguments arguments = {0};
    g_autoptr(GError) error = NULL;
    const char *root = read_arguments(argc, argv, &arguments, &error);
    int status;

    if (root == NULL) {
        status = fail(error, EXIT_USAGE);
    } else if (arguments.show_version) {
        printf("repod %s\n", VD_VERSION);
        status = 0;
    } else {
        RepodOptions options = {
            .root = arguments.config == NULL ? root : NULL,
            .config = arguments.config,
            .listen = (const char *const *)arguments.listen,
            .port_file = arguments.port_file,
            .access_log = arguments.access_log,
            .threads = (unsigned)arguments.threads,
            .max_connections = (unsigned)arguments.max_connections,
            .report = report,
        };

        status = arguments.check_config ? check(&options) : serve(&options);
    }
    g_free(arguments.config);
    g_strfreev(arguments.listen);
    g_free(arguments.port_file);
    g_free(arguments.access_log);
    return status;
}
