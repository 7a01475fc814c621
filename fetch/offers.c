// SPDX-License-Identifier: Apache-2.0
/* The folder's public functions for those who choose from what all sources offer. */
#include "base/interrupt.h"
#include "fetch/fetch.h"
#include "fetch/named.h"
#include "fetch/output.h"
#include "fetch/prune.h"

#include <time.h>

struct FetchOffers {
    GPtrArray *catalogues; /* (element-type Catalogue) */
};

void
fetch_offers_free(FetchOffers *offers)
{
    if (offers == NULL)
        return;
    g_ptr_array_unref(offers->catalogues);
    g_free(offers);
}

static unsigned
count(const char *const *list)
{
    return list == NULL ? 0 : g_strv_length((char **)list);
}

static bool
check_sources(const FetchSources *sources, GError **error)
{
    unsigned n = count(sources->uris), n_fingerprints = count(sources->fingerprints);

    if (n == 0 && n_fingerprints > 0)
        return error_set_code(error, BASE_ERROR_USAGE, "--fingerprint goes with --source");
    if (n > 0 && n_fingerprints == 0 && !sources->is_unsigned)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "say with --fingerprint which key signs the source; --no-check-signature goes "
                              "without");
    return n_fingerprints <= 1 || n_fingerprints == n ||
           error_set_code(error, BASE_ERROR_USAGE,
                          "%u sources and %u fingerprints: one for all of them, or one for each, is expected",
                          n, n_fingerprints);
}

/* Those that the user names must be there; each comes before the next one, and all before the stored ones. */
static bool
open_named(FetchOffers *offers, const FetchSources *sources, GPtrArray *warnings, GError **error)
{
    unsigned n = count(sources->uris), n_fingerprints = count(sources->fingerprints);

    for (unsigned i = 0; i < n; i++) {
        const char *fingerprint =
            sources->is_unsigned ? NULL : sources->fingerprints[n_fingerprints == 1 ? 0 : i];
        Source *source = named_source(sources->uris[i], fingerprint, error);
        g_autoptr(GPtrArray) said = g_ptr_array_new_with_free_func(g_free);
        Catalogue *catalogue;

        if (source == NULL)
            return false;
        source->priority = SOURCE_MAX_PRIORITY + (int)(n - i);
        catalogue = catalogue_open(source, CATALOGUE_ASK, said);
        g_ptr_array_add(offers->catalogues, catalogue);
        if (catalogue->failure != NULL) {
            g_propagate_error(error, g_error_copy(catalogue->failure));
            return false;
        }
        g_ptr_array_extend_and_steal(warnings, g_steal_pointer(&said));
    }
    return true;
}

static void
open_stored(FetchOffers *offers, bool is_unsigned, GPtrArray *warnings)
{
    g_autoptr(GPtrArray) sources = source_read_all(warnings);

    g_ptr_array_set_free_func(sources, NULL);
    for (guint i = 0; i < sources->len; i++) {
        Source *source = g_ptr_array_index(sources, i);

        if (!source->is_enabled) {
            source_free(source);
            continue;
        }
        if (is_unsigned)
            source = named_unsigned(source);
        g_ptr_array_add(offers->catalogues, catalogue_open(source, CATALOGUE_ASK, warnings));
    }
}

FetchOffers *
fetch_offers_open(const FetchSources *sources, GPtrArray *warnings, GError **error)
{
    g_autoptr(FetchOffers) offers = g_new0(FetchOffers, 1);

    offers->catalogues = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_free);
    if (!check_sources(sources, error) || !open_named(offers, sources, warnings, error))
        return NULL;
    open_stored(offers, sources->is_unsigned, warnings);
    return interrupt_check(error) ? g_steal_pointer(&offers) : NULL;
}

unsigned
fetch_offers_count(const FetchOffers *offers)
{
    return offers->catalogues->len;
}

FetchOffer
fetch_offers_get(const FetchOffers *offers, unsigned number)
{
    const Catalogue *catalogue = g_ptr_array_index(offers->catalogues, number);

    return (FetchOffer){.uri = catalogue->uri,
                        .pins = (const char *const *)catalogue->source->pins,
                        .index = catalogue->opened.index,
                        .priority = catalogue->source->priority};
}

bool
fetch_offers_find(const FetchOffers *offers, const char *ref, const char *arch, FetchChoice *out_choice,
                  GError **error)
{
    g_autofree char *wanted = arch == NULL ? catalogue_host_arch() : g_strdup(index_normal_arch(arch));
    const Catalogue *catalogue = NULL;
    const IndexEntry *entry = catalogue_find(offers->catalogues, ref, wanted, &catalogue, error);

    if (entry == NULL)
        return false;
    out_choice->entry = entry;
    return g_ptr_array_find(offers->catalogues, catalogue, &out_choice->number);
}

static const Catalogue *
catalogue_of(const FetchOffers *offers, const FetchChoice *choice)
{
    return g_ptr_array_index(offers->catalogues, choice->number);
}

bool
fetch_offers_is_cached(const FetchOffers *offers, const FetchChoice *choice)
{
    g_autoptr(FetchImage) image = pull_cached(catalogue_of(offers, choice)->source->name, choice->entry);

    return image != NULL;
}

FetchImage *
fetch_offers_pull(const FetchOffers *offers, const FetchChoice *choice, GPtrArray *warnings, GError **error)
{
    return pull_entry(catalogue_of(offers, choice), choice->entry, &(PullWish){0}, warnings, error);
}

bool
fetch_offers_write(const FetchOffers *offers, const FetchChoice *choice, FetchOutput *output,
                   GPtrArray *warnings, DiskFormat *out_format, GError **error)
{
    FetchCost cost = {0};
    bool is_ok = output_pull(output, catalogue_of(offers, choice), choice->entry, &(PullWish){0}, warnings,
                             out_format, &cost, error);

    g_free(cost.why);
    return is_ok;
}

bool
fetch_forget_images(uint64_t *out_left_bytes, GError **error)
{
    const PruneRule rule = {.max_bytes = 1, .max_age = -1, .now = (int64_t)time(NULL)};
    g_auto(PruneResult) result = {0};

    if (!prune_cache(&rule, 0, false, &result, error))
        return false;
    *out_left_bytes = result.left_bytes;
    return result.n_doubted == 0 ||
           error_set(error, "%u images stay, as it cannot be told who needs them: %s", result.n_doubted,
                     result.doubt);
}
