// SPDX-License-Identifier: Apache-2.0
/*
 * From a source to its catalogue: server, cache, expiry, rollback. The detached signature is preferred: a cleartext
 * signature leaves blanks at line ends open to anybody and its framing has a history of holes.
 */
#include "fetch/catalogue.h"

#include "base/interrupt.h"
#include "fetch/seen.h"

#include <sys/utsname.h>
#include <time.h>

void
catalogue_free(Catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    source_free(catalogue->source);
    door_index_clear(&catalogue->opened);
    g_clear_error(&catalogue->failure);
    g_clear_error(&catalogue->refusal);
    g_free(catalogue);
}

/* Fetch texts of one kind and take them through the door. */
static bool
fetch_kind(const Source *source, TextsKind kind, const Texts *known, Texts *out_texts, DoorIndex *out_opened,
           GError **error)
{
    g_auto(Texts) texts = {0};

    if (!texts_fetch(source, kind, known, &texts, error) || !door_open(source, &texts, out_opened, error))
        return false;
    *out_texts = texts;
    texts = (Texts){0};
    return true;
}

static bool
is_code(const GError *error, BaseError code)
{
    return g_error_matches(error, BASE_ERROR, (gint)code);
}

/*
 * The kinds in order of preference. Index and signature that disagree may be two halves of an update: ask again, for
 * both and without what is known. NOT_FOUND means that the repository has no such kind.
 */
static bool
fetch_best(const Source *source, const Texts *known, Texts *out_texts, DoorIndex *out_opened, GError **error)
{
    TextsKind first = source->is_unsigned ? TEXTS_PLAIN : TEXTS_DETACHED;
    g_autoptr(GError) problem = NULL;

    if (g_str_has_suffix(source->uri, "/index.asc")) { /* else only that one file is known to exist */
        if (fetch_kind(source, first, known, out_texts, out_opened, &problem))
            return true;
        if (is_code(problem, BASE_ERROR_UNTRUSTED)) {
            g_clear_error(&problem);
            if (fetch_kind(source, first, NULL, out_texts, out_opened, &problem))
                return true;
        }
        if (!is_code(problem, BASE_ERROR_NOT_FOUND) && !is_code(problem, BASE_ERROR_UNTRUSTED)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
    }
    if (fetch_kind(source, TEXTS_CLEAR, known, out_texts, out_opened, error))
        return true;
    /* A bad detached signature says more than a missing clear one. */
    if (is_code(problem, BASE_ERROR_UNTRUSTED) && error != NULL && is_code(*error, BASE_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return false;
}

/* Expired, older than what this host has seen, or a fork of it? Sets catalogue->refusal. */
static bool
judge(Catalogue *catalogue, GError **error)
{
    const Index *index = catalogue->opened.index;
    const Source *source = catalogue->source;
    SeenVerdict seen;
    uint64_t highest;

    if (!seen_judge(&catalogue->opened, (const char *const *)source->pins, &seen, &highest, error))
        return false;
    if (seen == SEEN_OLDER)
        error_set_code(&catalogue->refusal, BASE_ERROR_UNTRUSTED,
                       "source '%s': %s: its index is version %" G_GUINT64_FORMAT
                       ", but version %" G_GUINT64_FORMAT " was seen before, so it was rolled back",
                       source->name, source->uri, index->version, highest);
    else if (seen == SEEN_OTHER)
        error_set_code(
            &catalogue->refusal, BASE_ERROR_UNTRUSTED,
            "source '%s': %s: its index is version %" G_GUINT64_FORMAT
            " as before, but with other content: two publishers, or somebody else has the key; ask "
            "the publisher",
            source->name, source->uri, index->version);
    else if (index->expires > 0 && index->expires < (int64_t)time(NULL))
        error_set_code(&catalogue->refusal, BASE_ERROR_UNTRUSTED,
                       "source '%s': %s: its index has expired; its publisher must sign it again",
                       source->name, source->uri);
    return true;
}

/* @known is the last good index: what is better than nothing. */
static bool
open_cached(Catalogue *catalogue, const Texts *known, GError **error)
{
    return door_open(catalogue->source, known, &catalogue->opened, error) && judge(catalogue, error);
}

static bool
open_online(Catalogue *catalogue, const Texts *known, GPtrArray *warnings, GError **error)
{
    g_auto(Texts) texts = {0};
    g_autoptr(GError) problem = NULL;

    if (!fetch_best(catalogue->source, known, &texts, &catalogue->opened, error) || !judge(catalogue, error))
        return false;
    if (catalogue->refusal != NULL) /* not adopted: the last good one stays what it is */
        return true;
    if (!seen_record(&catalogue->opened, &problem) || !texts_store(catalogue->source, &texts, &problem))
        g_ptr_array_add(warnings, g_strdup_printf("source '%s': cannot be remembered: %s",
                                                  catalogue->source->name, problem->message));
    return true;
}

static void
warn_of_problems(const Catalogue *catalogue, GPtrArray *warnings)
{
    const GPtrArray *problems = catalogue->opened.problems;
    const IndexProblem *first;
    g_autoptr(GString) text = NULL;

    if (catalogue->refusal != NULL)
        g_ptr_array_add(warnings, g_strdup(catalogue->refusal->message));
    if (problems == NULL || problems->len == 0)
        return;
    first = g_ptr_array_index(problems, 0);
    text = g_string_new(NULL);
    g_string_printf(text, "source '%s': %s:%u: %s", catalogue->source->name, catalogue->source->uri,
                    first->line, first->message);
    if (problems->len > 1)
        g_string_append_printf(text, " (and %u more problems)", problems->len - 1);
    g_ptr_array_add(warnings, g_string_free(g_steal_pointer(&text), FALSE));
}

Catalogue *
catalogue_open(Source *source, bool is_offline, GPtrArray *warnings)
{
    Catalogue *catalogue = g_new0(Catalogue, 1);
    g_auto(Texts) known = {0};
    g_autoptr(GError) cache_problem = NULL, problem = NULL;
    bool has_known;

    catalogue->source = source;
    has_known = texts_load(source, &known, &cache_problem);
    if (!is_offline && open_online(catalogue, has_known ? &known : NULL, warnings, &problem)) {
        warn_of_problems(catalogue, warnings);
        return catalogue;
    }
    door_index_clear(&catalogue->opened);
    /* The cache stands in for a server that cannot be reached; never for one whose answer was refused. */
    if ((is_offline || !is_code(problem, BASE_ERROR_UNTRUSTED)) && has_known &&
        open_cached(catalogue, &known, &catalogue->failure)) {
        if (problem != NULL)
            g_ptr_array_add(warnings, g_strdup_printf("source '%s': using its last index: %s", source->name,
                                                      problem->message));
        warn_of_problems(catalogue, warnings);
        return catalogue;
    }
    door_index_clear(&catalogue->opened);
    if (problem != NULL) {
        g_clear_error(&catalogue->failure);
        catalogue->failure = g_steal_pointer(&problem);
    } else if (catalogue->failure == NULL) {
        error_set_code(&catalogue->failure, BASE_ERROR_UNAVAILABLE, "its index was never fetched");
    }
    g_prefix_error(&catalogue->failure, "source '%s': ", source->name);
    g_ptr_array_add(warnings, g_strdup(catalogue->failure->message));
    return catalogue;
}

GPtrArray *
catalogue_open_all(const char *only, bool is_offline, GPtrArray *warnings, GError **error)
{
    g_autoptr(GPtrArray) sources = NULL;
    g_autoptr(GPtrArray) catalogues = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_free);

    if (only != NULL) {
        Source *source = source_read(only, error);

        if (source == NULL)
            return NULL;
        g_ptr_array_add(catalogues, catalogue_open(source, is_offline, warnings));
    } else {
        sources = source_read_all(warnings);
        g_ptr_array_set_free_func(sources, NULL); /* each goes to its catalogue */
        for (guint i = 0; i < sources->len; i++)
            g_ptr_array_add(catalogues, catalogue_open(g_ptr_array_index(sources, i), is_offline, warnings));
    }
    return interrupt_check(error) ? g_steal_pointer(&catalogues) : NULL;
}

char *
catalogue_host_arch(void)
{
    struct utsname host;

    return g_strdup(index_normal_arch(uname(&host) == 0 ? host.machine : "x86_64"));
}
