// SPDX-License-Identifier: Apache-2.0
/*
 * One configuration with all that was opened for it; private to repod/. It never changes: a reload makes a new one, which
 * every worker takes over when it gets to it. A request holds the one that it began under until it ends.
 */
#pragma once

#include "base/fd.h"
#include "repod/config.h"
#include "repod/shelf.h"
#include "repod/tls.h"

/** Site: one repository that is served. */
typedef struct {
    const ConfigSite *config;
    Fd root; /* its folder */
    Shelf *shelf;
} Site;

typedef struct {
    atomic_uint n_users;
    Config *config;
    GPtrArray *sites; /* (element-type Site) in the order of config->sites */
    Fd access_log;    /* -1: none */
    Fd audit_log;
    TlsContext *tls; /* NULL: none */
} Runtime;

/** runtime_new: open every folder and file that @config names. */
Runtime *runtime_new(Config *config, GError **error);

/** runtime_new_check: the same to see whether it can be done: no log is made. */
Runtime *runtime_new_check(Config *config, GError **error);

/** runtime_inherit: go on with what @before knows of the repositories that stay. Before @runtime is used. */
void runtime_inherit(Runtime *runtime, const Runtime *before);

Runtime *runtime_ref(Runtime *runtime);
void runtime_unref(Runtime *runtime);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Runtime, runtime_unref)

/** runtime_find_site: config_find_site() with what was opened for it. */
const Site *runtime_find_site(const Runtime *runtime, const char *host, size_t host_length, const char *path,
                              const char **out_rest);
