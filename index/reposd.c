// SPDX-License-Identifier: Apache-2.0
/* virt-builder's repos.d files: the grammar of the index with other fields (sources.ml). */
#include "index/grammar.h"
#include "index/index.h"

#include <string.h>

typedef struct {
    GPtrArray *confs;
    GPtrArray *problems;
} Reader;

void
index_conf_free(IndexConf *conf)
{
    if (conf == NULL)
        return;
    g_free(conf->id);
    g_free(conf->uri);
    g_free(conf->gpgkey);
    g_free(conf->proxy);
    g_free(conf->format);
    g_free(conf);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IndexConf, index_conf_free)

static void
report(unsigned line, const char *message, void *context)
{
    Reader *reader = context;
    IndexProblem *problem;

    if (reader->problems->len >= INDEX_MAX_PROBLEMS)
        return;
    problem = g_new0(IndexProblem, 1);
    problem->line = line;
    problem->message = g_strdup(message);
    g_ptr_array_add(reader->problems, problem);
}

/* The place of the field's value in @conf, or NULL for a key that means nothing. */
static char **
find_slot(IndexConf *conf, const GrammarField *field)
{
    const struct {
        const char *key;
        char **slot;
    } KNOWN[] = {
        {"uri", &conf->uri},
        {"gpgkey", &conf->gpgkey},
        {"proxy", &conf->proxy},
        {"format", &conf->format},
    };

    for (size_t i = 0; field->subkey == NULL && i < G_N_ELEMENTS(KNOWN); i++)
        if (strcmp(field->key, KNOWN[i].key) == 0)
            return KNOWN[i].slot;
    return NULL;
}

static bool
is_plain(const char *value)
{
    for (; *value != '\0'; value++)
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            return false;
    return true;
}

static void
drop_same_id(Reader *reader, const char *id)
{
    for (guint i = 0; i < reader->confs->len; i++)
        if (strcmp(((IndexConf *)g_ptr_array_index(reader->confs, i))->id, id) == 0) {
            g_ptr_array_remove_index(reader->confs, i);
            return;
        }
}

static void
read_section(const GrammarSection *section, void *context)
{
    Reader *reader = context;
    g_autoptr(IndexConf) conf = g_new0(IndexConf, 1);

    conf->line = section->line;
    conf->id = g_strdup(section->name);
    for (guint i = 0; i < section->fields->len; i++) {
        const GrammarField *field = g_ptr_array_index(section->fields, i);
        char **slot = find_slot(conf, field);

        if (slot == NULL || field->value->len == 0)
            continue;
        if (*slot != NULL || !is_plain(field->value->str)) {
            report(field->line,
                   *slot != NULL ? "the field appears twice, so its source is skipped"
                                 : "a control character, so its source is skipped",
                   reader);
            return;
        }
        *slot = g_strdup(field->value->str);
    }
    if (conf->uri == NULL) {
        report(section->line, "no field 'uri', so the source is skipped", reader);
        return;
    }
    drop_same_id(reader, conf->id);
    if (reader->confs->len == INDEX_MAX_CONFS)
        report(section->line, "too many sources in one file, so this one is skipped", reader);
    else
        g_ptr_array_add(reader->confs, g_steal_pointer(&conf));
}

GPtrArray *
index_conf_parse(GBytes *text, const char *source, GPtrArray **out_problems, GError **error)
{
    static const GrammarEvents EVENTS = {.section = read_section, .problem = report};
    g_autoptr(GPtrArray) confs = g_ptr_array_new_with_free_func((GDestroyNotify)index_conf_free);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    Reader reader = {.confs = confs, .problems = problems};
    gsize size;
    const char *data = g_bytes_get_data(text, &size);

    if (size > INDEX_MAX_CONF_BYTES) {
        error_set(error, "%s: larger than %u bytes", source, INDEX_MAX_CONF_BYTES);
        return NULL;
    }
    if (size > 0 && memchr(data, '\0', size) != NULL) {
        error_set(error, "%s: has a NUL byte, so it is no text", source);
        return NULL;
    }
    index_grammar_read(data, size, &EVENTS, &reader);
    if (out_problems != NULL)
        *out_problems = g_steal_pointer(&problems);
    return g_steal_pointer(&confs);
}
