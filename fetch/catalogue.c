// SPDX-License-Identifier: Apache-2.0
/*
 * From a source to its catalogue: server, cache, expiry, rollback. The detached signature is preferred: a cleartext
 * signature leaves blanks at line ends open to anybody and its framing has a history of holes.
 */
#include "fetch/catalogue.h"

#include "base/interrupt.h"
#include "fetch/seen.h"
#include "fetch/streams.h"
#include "fetch/trust_refresh.h"
#include "net/net.h"

#include <sys/utsname.h>
#include <time.h>

void
catalogue_free(Catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    source_free(catalogue->source);
    door_index_clear(&catalogue->opened);
    texts_clear(&catalogue->texts);
    g_clear_error(&catalogue->failure);
    g_clear_error(&catalogue->refusal);
    g_free(catalogue);
}

static bool
open_texts(const Source *source, const Texts *texts, DoorIndex *out_opened, GError **error)
{
    return source->format == SOURCE_STREAMS ? streams_open(source, texts, out_opened, error)
                                            : door_open(source, texts, out_opened, error);
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

    if (source->format == SOURCE_STREAMS)
        return streams_fetch(source, known, out_texts, out_opened, error);
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

/* Expired, older than what this host has seen, or a fork of it? Sets *out_refusal. */
static bool
judge(const Source *source, const DoorIndex *opened, GError **out_refusal, GError **error)
{
    const Index *index = opened->index;
    SeenVerdict seen;
    uint64_t highest;

    if (!seen_judge(opened, (const char *const *)source->pins, &seen, &highest, error))
        return false;
    if (seen == SEEN_OLDER)
        error_set_code(out_refusal, BASE_ERROR_UNTRUSTED,
                       "source '%s': %s: its index is version %" G_GUINT64_FORMAT
                       ", but version %" G_GUINT64_FORMAT " was seen before, so it was rolled back",
                       source->name, source->uri, index->version, highest);
    else if (seen == SEEN_OTHER)
        error_set_code(
            out_refusal, BASE_ERROR_UNTRUSTED,
            "source '%s': %s: its index is version %" G_GUINT64_FORMAT
            " as before, but with other content: two publishers, or somebody else has the key; ask "
            "the publisher",
            source->name, source->uri, index->version);
    else if (source->trusted_until > 0 && source->trusted_until < (int64_t)time(NULL))
        error_set_code(out_refusal, BASE_ERROR_UNTRUSTED,
                       "source '%s': %s: its trust has expired; its publisher must have the root keys sign "
                       "another version",
                       source->name, source->uri);
    else if (index->expires > 0 && index->expires < (int64_t)time(NULL))
        error_set_code(out_refusal, BASE_ERROR_UNTRUSTED,
                       "source '%s': %s: its index has expired; its publisher must sign it again",
                       source->name, source->uri);
    return true;
}

/* @known is the last good index: what is better than nothing. */
static bool
open_cached(Catalogue *catalogue, const Texts *known, GError **error)
{
    catalogue->uri = catalogue->source->uri;
    return open_texts(catalogue->source, known, &catalogue->opened, error) &&
           judge(catalogue->source, &catalogue->opened, &catalogue->refusal, error);
}

/* Answer: what one server has of a source. */
typedef struct {
    Texts texts;
    DoorIndex opened;
    GError *refusal;
} Answer;

static void
answer_clear(Answer *answer)
{
    texts_clear(&answer->texts);
    door_index_clear(&answer->opened);
    g_clear_error(&answer->refusal);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

/* @uri instead of the source's own. First whom to trust, then what they signed. */
static bool
ask_once(Source *source, char *uri, const Texts *known, Answer *out_answer, bool *out_changed,
         GPtrArray *warnings, GError **error)
{
    g_auto(Answer) answer = {0};
    Source at;

    if (!trust_refresh(source, uri, warnings, out_changed, error))
        return false;
    at = source_at(source, uri);
    if (!fetch_best(&at, known, &answer.texts, &answer.opened, error) ||
        !judge(&at, &answer.opened, &answer.refusal, error))
        return false;
    *out_answer = answer;
    answer = (Answer){0};
    return true;
}

/* Signed by an unknown key? The keys may have been exchanged after they were asked for. */
static bool
ask_server(Source *source, char *uri, const Texts *known, Answer *out_answer, GPtrArray *warnings,
           GError **error)
{
    g_autoptr(GError) problem = NULL;
    bool is_changed;

    if (ask_once(source, uri, known, out_answer, &is_changed, warnings, &problem))
        return true;
    if (is_code(problem, BASE_ERROR_UNTRUSTED) && !is_changed &&
        trust_refresh(source, uri, warnings, &is_changed, NULL) && is_changed)
        return ask_once(source, uri, NULL, out_answer, &is_changed, warnings, error);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* What was got from @uri becomes the catalogue's. */
static void
adopt(Catalogue *catalogue, const char *uri, Answer *answer)
{
    door_index_clear(&catalogue->opened);
    g_clear_error(&catalogue->refusal);
    texts_clear(&catalogue->texts);
    catalogue->opened = answer->opened;
    answer->opened = (DoorIndex){0};
    catalogue->texts = answer->texts;
    answer->texts = (Texts){0};
    catalogue->refusal = g_steal_pointer(&answer->refusal);
    catalogue->uri = uri;
}

static void
remember(const Catalogue *catalogue, GPtrArray *warnings)
{
    g_autoptr(GError) problem = NULL;

    if (!seen_record(&catalogue->opened, &problem) ||
        !texts_store(catalogue->source, &catalogue->texts, &problem))
        g_ptr_array_add(warnings, g_strdup_printf("source '%s': cannot be remembered: %s",
                                                  catalogue->source->name, problem->message));
}

/* One of the source's servers failed, or has what must not be adopted; the next one is asked. */
static void
warn_of_server(const Catalogue *catalogue, const GError *problem, bool is_last, GPtrArray *warnings)
{
    if (!is_last)
        g_ptr_array_add(warnings, g_strdup_printf("source '%s': trying a mirror: %s", catalogue->source->name,
                                                  problem->message));
}

/* The source's server, then its mirrors, until one has an index to adopt. Where none has, the first that is refused as
 * old is still good for looking at. @error must not be NULL. */
static bool
open_online(Catalogue *catalogue, const Texts *known, GPtrArray *warnings, GError **error)
{
    Source *source = catalogue->source;
    guint n = g_strv_length(source->mirrors);

    for (guint i = 0; i <= n; i++) {
        char *uri = i == 0 ? source->uri : source->mirrors[i - 1];
        g_auto(Answer) answer = {0};
        g_autoptr(GError) problem = NULL;

        if (!ask_server(source, uri, i == 0 ? known : NULL, &answer, warnings, &problem)) {
            if (is_code(problem, BASE_ERROR_INTERRUPTED)) {
                g_clear_error(error);
                g_propagate_error(error, g_steal_pointer(&problem));
                return false;
            }
            warn_of_server(catalogue, problem, i == n, warnings);
            if (*error == NULL)
                g_propagate_error(error, g_steal_pointer(&problem));
            continue;
        }
        if (answer.refusal == NULL) {
            g_clear_error(error);
            adopt(catalogue, uri, &answer);
            if (i > 0) { /* a mirror's tags mean nothing to the source's own server */
                g_clear_pointer(&catalogue->texts.text_etag, g_free);
                g_clear_pointer(&catalogue->texts.signature_etag, g_free);
            }
            remember(catalogue, warnings);
            return true;
        }
        warn_of_server(catalogue, answer.refusal, i == n, warnings);
        if (catalogue->opened.index == NULL)
            adopt(catalogue, uri, &answer); /* but not remembered: the last good one stays what it is */
    }
    if (catalogue->opened.index == NULL)
        return false;
    g_clear_error(error);
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

/* Whether the source was asked so recently that its answer still counts. A clock that was set back makes it old. */
static bool
is_recent(const Source *source)
{
    int64_t age = (int64_t)time(NULL) - texts_confirmed_at(source);

    return age >= 0 && age < (int64_t)source_max_age(source);
}

static void
drop_opened(Catalogue *catalogue)
{
    texts_clear(&catalogue->texts);
    door_index_clear(&catalogue->opened);
    g_clear_error(&catalogue->refusal);
}

/* The catalogue without any server, or false; then it is empty. @reason: (nullable) why none was asked with success */
static bool
fall_back(Catalogue *catalogue, const Texts *known, const GError *reason, GPtrArray *warnings)
{
    if (!open_cached(catalogue, known, &catalogue->failure)) {
        drop_opened(catalogue);
        return false;
    }
    if (reason != NULL)
        g_ptr_array_add(warnings, g_strdup_printf("source '%s': using its last index: %s",
                                                  catalogue->source->name, reason->message));
    warn_of_problems(catalogue, warnings);
    return true;
}

Catalogue *
catalogue_open(Source *source, CatalogueMode mode, GPtrArray *warnings)
{
    Catalogue *catalogue = g_new0(Catalogue, 1);
    g_auto(Texts) known = {0};
    g_autoptr(GError) cache_problem = NULL, problem = NULL;
    bool has_known;

    catalogue->source = source;
    catalogue->uri = source->uri;
    catalogue->is_offline = mode == CATALOGUE_OFFLINE;
    if (!trust_state_load(source, &catalogue->failure)) {
        g_prefix_error(&catalogue->failure, "source '%s': ", source->name);
        g_ptr_array_add(warnings, g_strdup(catalogue->failure->message));
        return catalogue;
    }
    has_known = texts_load(source, &known, &cache_problem);
    if (mode == CATALOGUE_RECENT && has_known && is_recent(source)) {
        if (open_cached(catalogue, &known, NULL) && catalogue->refusal == NULL) {
            warn_of_problems(catalogue, warnings);
            return catalogue;
        }
        drop_opened(catalogue);
    }
    if (mode != CATALOGUE_OFFLINE && open_online(catalogue, has_known ? &known : NULL, warnings, &problem)) {
        warn_of_problems(catalogue, warnings);
        return catalogue;
    }
    drop_opened(catalogue);
    /* The cache stands in for a server that cannot be reached; never for one whose answer was refused. */
    if (!is_code(problem, BASE_ERROR_UNTRUSTED) && has_known &&
        fall_back(catalogue, &known, problem, warnings))
        return catalogue;
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
catalogue_open_all(const char *only, CatalogueMode mode, GPtrArray *warnings, GError **error)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func((GDestroyNotify)source_free);
    g_autoptr(GPtrArray) catalogues = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_free);

    if (only != NULL) {
        g_autoptr(Source) source = source_read(only, error);

        if (source == NULL)
            return NULL;
        if (!source->is_enabled) {
            error_set(error, "source '%s' is disabled: %s says 'enabled=no'", only, source->file);
            return NULL;
        }
        g_ptr_array_add(sources, g_steal_pointer(&source));
    } else {
        g_ptr_array_unref(sources);
        sources = source_read_all(warnings);
    }
    while (sources->len > 0) {
        g_autoptr(Source) source = g_ptr_array_steal_index(sources, 0);

        if (source->is_enabled)
            g_ptr_array_add(catalogues, catalogue_open(g_steal_pointer(&source), mode, warnings));
    }
    return interrupt_check(error) ? g_steal_pointer(&catalogues) : NULL;
}

char *
catalogue_host_arch(void)
{
    struct utsname host;

    return g_strdup(index_normal_arch(uname(&host) == 0 ? host.machine : "x86_64"));
}
