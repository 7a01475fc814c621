// SPDX-License-Identifier: Apache-2.0
/*
 * A copy whose texts are the source's, byte by byte: their signatures stay valid, and whoever pins the source's key can use it.
 * All files come first, then texts and names change at one moment.
 */
#include "base/interrupt.h"
#include "mirror/run.h"
#include "mirror/shown.h"

#include <string.h>

#define ROUNDS 3u /* a source that changes while it is copied is begun anew so often */

/** Copy: one run. */
typedef struct {
    const MirrorOptions *options;
    MirrorReport *report;
    Store *store; /* NULL: nothing is there yet, and this is a dry run */
    MirrorNotes notes;
} Copy;

/** Round: one version of the source. */
typedef struct {
    FetchUpstream *upstream;
    FetchText texts[FETCH_N_TEXTS];
    GPtrArray *files;    /* (element-type MirrorFile) */
    GHashTable *by_name; /* name -> MirrorFile */
} Round;

static void
copy_clear(Copy *copy)
{
    store_free(copy->store);
    mirror_notes_clear(&copy->notes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Copy, copy_clear)

static void
round_clear(Round *round)
{
    g_clear_pointer(&round->upstream, fetch_upstream_free);
    for (size_t i = 0; i < FETCH_N_TEXTS; i++)
        fetch_text_clear(&round->texts[i]);
    g_clear_pointer(&round->files, g_ptr_array_unref);
    g_clear_pointer(&round->by_name, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Round, round_clear)

/* ---- the folder ---- */

static bool
check_ours(const Copy *copy, bool has_notes, GError **error)
{
    if (!has_notes && store_has_version(copy->store))
        return error_set_code(
            error, BASE_ERROR_EXISTS,
            "%s: is a repository, but no verbatim mirror, which needs a folder of its own; --resign "
            "takes images over into this one",
            store_location(copy->store));
    if (copy->notes.source != NULL && strcmp(copy->notes.source, copy->options->source) != 0)
        return error_set_code(error, BASE_ERROR_USAGE, "%s: is a mirror of source '%s'",
                              store_location(copy->store), copy->notes.source);
    return true;
}

static Store *
open_store(const MirrorOptions *options, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Store) store = store_open(options->dir, &problem);

    if (store == NULL && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND) && !options->is_dry)
        return store_create(options->dir, error); /* with the lock */
    if (store == NULL && !(options->is_dry && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND)))
        g_propagate_error(error, g_steal_pointer(&problem));
    if (store != NULL && !options->is_dry && !store_lock(store, false, error))
        return NULL;
    return g_steal_pointer(&store);
}

static bool
open_copy(Copy *copy, GError **error)
{
    GError *problem = NULL;
    bool has_notes;

    copy->store = open_store(copy->options, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return false;
    }
    if (copy->store == NULL) {
        copy->notes.known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        copy->notes.gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return true;
    }
    if (!mirror_notes_read(copy->store, &copy->notes, &has_notes, error) ||
        !check_ours(copy, has_notes, error))
        return false;
    if (copy->notes.source != NULL || copy->options->is_dry)
        return true;
    /* Before anything else is there: a folder that a first run was killed in is known as a mirror. */
    copy->notes.source = g_strdup(copy->options->source);
    return mirror_notes_write(copy->store, &copy->notes, error);
}

/* ---- is there anything to do? ---- */

static uint64_t
current_version(Store *store)
{
    g_autoptr(GArray) generations =
        store != NULL && store_has_version(store) ? store_list_generations(store, NULL) : NULL;

    return generations == NULL || generations->len == 0
               ? 0
               : g_array_index(generations, StoreGeneration, generations->len - 1).version;
}

/* is_unchanged: the source has no other texts than those of the last run, they still hold, and all files are there. */
static bool
is_unchanged(const Copy *copy, bool *out_is_unchanged, GError **error)
{
    const MirrorNotes *notes = &copy->notes;
    MirrorSum files;

    *out_is_unchanged = false;
    if (notes->digest == NULL || notes->n_texts == 0 || copy->options->want_digests || copy->store == NULL ||
        notes->version != current_version(copy->store) ||
        (notes->expires != 0 && notes->expires <= g_get_real_time() / G_USEC_PER_SEC) ||
        !mirror_is_complete(copy->store, &files, NULL))
        return true;
    if (!fetch_upstream_is_unchanged(copy->options->source, notes->texts, notes->n_texts, out_is_unchanged,
                                     NULL))
        *out_is_unchanged = false; /* whoever asks properly says why, or finds another server */
    if (*out_is_unchanged)
        copy->report->kept = files;
    return interrupt_check(error);
}

/* ---- one version of the source ---- */

static bool
list_files(Round *round, GError **error)
{
    const Index *index = fetch_upstream_index(round->upstream);
    const GPtrArray *problems = fetch_upstream_problems(round->upstream);
    g_autoptr(GHashTable) by_key = g_hash_table_new(g_str_hash, g_str_equal);

    if (problems != NULL && problems->len > 0) {
        const IndexProblem *first = g_ptr_array_index(problems, 0);

        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s:%u: %s; what the index says there cannot be mirrored as it is, so nothing is",
            fetch_upstream_uri(round->upstream), first->line, first->message);
    }
    round->files = g_ptr_array_new_with_free_func((GDestroyNotify)mirror_file_free);
    round->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < index->entries->len; i++)
        if (!mirror_wants(g_ptr_array_index(index->entries, i), true, round->files, by_key, round->by_name,
                          error))
            return false;
    return true;
}

static bool
open_round(const Copy *copy, Round *round, GError **error)
{
    round->upstream = fetch_upstream_open(copy->options->source, copy->report->warnings, error);
    if (round->upstream == NULL)
        return false;
    if (fetch_upstream_is_streams(round->upstream))
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "source '%s': simplestreams cannot be mirrored as they are; --resign makes a repository of "
            "them, signed with the key of %s",
            copy->options->source, copy->options->dir);
    copy->report->images = fetch_upstream_index(round->upstream)->entries->len;
    return fetch_upstream_texts(round->upstream, round->texts, error) && list_files(round, error);
}

/* ---- the switch ---- */

/* has_texts: whether the current version has exactly these texts. */
static bool
has_texts(Store *store, const FetchText *texts)
{
    for (size_t i = 0; i < FETCH_N_TEXTS; i++) {
        g_auto(StoreText) text = {texts[i].name, NULL};
        const bool is_there = store_read_texts(store, &text, 1, STORE_MAX_PUSH, NULL, NULL);

        if (is_there != (texts[i].content != NULL) ||
            (is_there && !g_bytes_equal(text.content, texts[i].content)))
            return false;
    }
    return true;
}

static bool
is_same_table(GHashTable *a, GHashTable *b)
{
    GHashTableIter iter;
    gpointer key, value;

    if (g_hash_table_size(a) != g_hash_table_size(b))
        return false;
    g_hash_table_iter_init(&iter, a);
    while (g_hash_table_iter_next(&iter, &key, &value))
        if (g_strcmp0(g_hash_table_lookup(b, key), value) != 0)
            return false;
    return true;
}

static bool
publish(const Copy *copy, const Round *round, GHashTable *shown, GError **error)
{
    const uint64_t current = current_version(copy->store);
    const uint64_t version = MAX(current + 1, fetch_upstream_index(round->upstream)->version);
    g_autoptr(GArray) links = g_array_new(FALSE, FALSE, sizeof(StoreLink));
    StoreText texts[FETCH_N_TEXTS];
    GHashTableIter iter;
    gpointer name, blob;
    size_t n = 0;

    for (size_t i = 0; i < FETCH_N_TEXTS; i++)
        if (round->texts[i].content != NULL)
            texts[n++] = (StoreText){round->texts[i].name, round->texts[i].content};
    g_hash_table_iter_init(&iter, shown);
    while (g_hash_table_iter_next(&iter, &name, &blob))
        g_array_append_val(links, ((StoreLink){name, blob}));
    if (!store_publish_links(copy->store, version, texts, n, (const StoreLink *)(const void *)links->data,
                             links->len, error) ||
        !store_sweep_links(copy->store, error))
        return false;
    copy->report->is_changed = true;
    return true;
}

static bool
switch_over(Copy *copy, const Round *round, GError **error)
{
    const uint64_t current = current_version(copy->store);
    const int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(GHashTable) before = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GHashTable) shown = NULL;

    if (current > 0 && !store_add_links(copy->store, current, before, error))
        return false;
    shown = mirror_shown(round->by_name, before, copy->notes.gone, now, copy->options->grace);
    if ((current == 0 || !has_texts(copy->store, round->texts) || !is_same_table(before, shown)) &&
        !publish(copy, round, shown, error))
        return false;
    g_free(copy->notes.digest);
    copy->notes.digest = g_strdup(fetch_upstream_digest(round->upstream));
    copy->notes.version = current_version(copy->store);
    copy->notes.expires = fetch_upstream_expires(round->upstream);
    mirror_notes_set_texts(&copy->notes, round->texts);
    return mirror_notes_write(copy->store, &copy->notes, error);
}

/* ---- all together ---- */

/* has_moved: after a failure: whether the source has another version by now, so that its files may be other ones, too. */
static bool
has_moved(const Copy *copy, const Round *round)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(FetchUpstream) now = fetch_upstream_open(copy->options->source, warnings, NULL);

    return now != NULL && strcmp(fetch_upstream_digest(now), fetch_upstream_digest(round->upstream)) != 0;
}

static bool
fill(Copy *copy, Round *round, GError **error)
{
    const MirrorJob job = {.store = copy->store,
                           .upstream = round->upstream,
                           .notes = &copy->notes,
                           .files = round->files,
                           .want_digests = copy->options->want_digests,
                           .max_rate = copy->options->max_rate};
    MirrorSum here, missing;

    if (!mirror_files_look(&job, &here, &missing, error))
        return false;
    if (copy->options->is_dry) {
        copy->report->kept = here;
        copy->report->fetched = missing;
        return true;
    }
    return mirror_files_fetch(&job, error) && mirror_report_files(copy->report, round->files, &here, error) &&
           switch_over(copy, round, error);
}

/* try_round: *out_again: the source has changed meanwhile. */
static bool
try_round(Copy *copy, bool *out_again, GError **error)
{
    g_auto(Round) round = {0};
    g_autoptr(GError) problem = NULL;

    if (open_round(copy, &round, &problem) && fill(copy, &round, &problem))
        return true;
    *out_again = round.upstream != NULL && interrupt_check(NULL) &&
                 (g_error_matches(problem, BASE_ERROR, BASE_ERROR_EXISTS) ||
                  g_error_matches(problem, BASE_ERROR, BASE_ERROR_UNTRUSTED) ||
                  g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND)) &&
                 has_moved(copy, &round);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static bool
run_rounds(Copy *copy, GError **error)
{
    for (unsigned round = 1;; round++) {
        g_autoptr(GError) problem = NULL;
        bool is_again = false;

        if (try_round(copy, &is_again, &problem))
            return true;
        if (!is_again || round == ROUNDS) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        g_ptr_array_add(copy->report->warnings,
                        g_strdup_printf("source '%s' changed while it was copied; its new version is taken",
                                        copy->options->source));
    }
}

bool
mirror_verbatim(const MirrorOptions *options, MirrorReport *report, GError **error)
{
    g_auto(Copy) copy = {.options = options, .report = report};
    bool is_done;

    if (!open_copy(&copy, error) || !is_unchanged(&copy, &is_done, error))
        return false;
    report->is_unasked = is_done;
    if (!is_done && !run_rounds(&copy, error)) {
        report->version = current_version(copy.store);
        return false;
    }
    report->version = current_version(copy.store);
    return copy.store == NULL || report->version == 0 ||
           mirror_prune(copy.store, &copy.notes, options, report, error);
}
