// SPDX-License-Identifier: Apache-2.0
#include "fetch/stock.h"

#include "base/interrupt.h"
#include "base/pool.h"
#include "base/progress.h"

#include <string.h>

typedef struct {
    const DiskManifest *manifest;
    const DiskTarget *target;
    bool *is_there; /* each thread has its own */
    Progress *progress;
} Stock;

static bool
compare_item(size_t item, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    Stock *stock = context;

    if (!disk_block_compare(stock->manifest, (guint)item, stock->target, &stock->is_there[item], error))
        return false;
    progress_add(stock->progress, g_array_index(stock->manifest->blocks, DiskManifestBlock, item).raw_size);
    return true;
}

static bool
erase_missing(const Stock *stock, GError **error)
{
    const DiskManifest *manifest = stock->manifest;
    bool can_erase = true;

    for (guint i = 0; can_erase && i < manifest->blocks->len; i++)
        can_erase = stock->is_there[i] || disk_block_erase(manifest, i, stock->target, NULL);
    if (can_erase)
        return true;
    if (!interrupt_check(error) || !disk_target_begin_anew(stock->target, manifest->raw_size, error))
        return false;
    memset(stock->is_there, 0, manifest->blocks->len * sizeof *stock->is_there);
    return true;
}

bool
stock_take(const DiskManifest *manifest, const DiskTarget *target, const char *name, bool *out_is_there,
           GError **error)
{
    g_autofree char *label = g_strdup_printf("check %s", name);
    Stock stock = {manifest, target, out_is_there, NULL};
    bool was_empty, is_ok;

    if (!disk_target_prepare(target, manifest->raw_size, &was_empty, error))
        return false;
    stock.progress = progress_new(label, manifest->raw_size);
    is_ok = pool_run(pool_default_threads(), manifest->blocks->len, compare_item, &stock, error);
    progress_free(stock.progress);
    return is_ok && (was_empty || erase_missing(&stock, error));
}
