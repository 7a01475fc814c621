// SPDX-License-Identifier: Apache-2.0
/* virt-depot cache verify. */
#include "base/interrupt.h"
#include "fetch/contents.h"
#include "fetch/fetch.h"
#include "fetch/heal.h"
#include "fetch/show.h"
#include "fetch/turn.h"

#include <stdio.h>
#include <string.h>

static gboolean option_json, option_no_fix, option_offline;

static const GOptionEntry OPTIONS[] = {
    {"no-fix", 0, 0, G_OPTION_ARG_NONE, &option_no_fix, "Only say what is damaged", NULL},
    {"offline", 0, 0, G_OPTION_ARG_NONE, &option_offline, "The same, without asking any server for anything",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

/* ---- which images ---- */

static bool
is_meant(const CacheImage *image, const char *ref)
{
    if (strcmp(ref, image->id) == 0)
        return true;
    for (guint i = 0; i < image->names->len; i++) {
        const Recorded *recorded = g_ptr_array_index(image->names, i);
        g_autofree char *full = g_strdup_printf("%s/%s", recorded->source, recorded->entry->name);

        if (strcmp(ref, recorded->entry->name) == 0 || strcmp(ref, full) == 0)
            return true;
    }
    return false;
}

/* choose: (element-type CacheImage) (transfer container) each that an argument means; without any, all. */
static GPtrArray *
choose(const CacheContents *contents, int argc, char **argv, GError **error)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();

    for (guint i = 0; argc == 0 && i < contents->images->len; i++)
        g_ptr_array_add(chosen, g_ptr_array_index(contents->images, i));
    for (int i = 0; i < argc; i++) {
        bool is_there = false;

        for (guint k = 0; k < contents->images->len; k++) {
            CacheImage *image = g_ptr_array_index(contents->images, k);

            if (!is_meant(image, argv[i]))
                continue;
            is_there = true;
            if (!g_ptr_array_find(chosen, image, NULL))
                g_ptr_array_add(chosen, image);
        }
        if (!is_there) {
            error_set_code(error, BASE_ERROR_NOT_FOUND,
                           "%s: is not in the cache; see 'virt-depot cache list'", argv[i]);
            return NULL;
        }
    }
    return g_steal_pointer(&chosen);
}

/* ---- one image ---- */

/* As what one record says that it is. */
static bool
verify_as(const CacheImage *image, const Recorded *recorded, const GError *read_only, Heal *out_heal,
          GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) problem = NULL;
    g_autoptr(Source) source = source_read(recorded->source, &problem);
    g_autoptr(Source) gone = source == NULL ? source_new(recorded->source, "") : NULL;
    const Catalogue catalogue = {.source = source != NULL ? source : gone,
                                 .uri = source != NULL ? source->uri : gone->uri,
                                 .is_offline = option_offline || source == NULL};
    g_auto(Job) job = {.catalogue = &catalogue, .entry = recorded->entry, .warnings = warnings};
    bool is_ok = cache_key_init(&job.key, recorded->entry, error) &&
                 heal_image(&job, image->path, !option_no_fix && read_only == NULL, out_heal, error);

    show_warnings(warnings, NULL);
    if (is_ok && out_heal->state == HEAL_DAMAGED && (source == NULL || read_only != NULL)) {
        g_free(out_heal->reason);
        out_heal->reason = g_strdup(source == NULL ? problem->message : read_only->message);
    }
    return is_ok;
}

/* The first record that helps. */
static bool
verify(const CacheImage *image, Heal *out_heal, GError **error)
{
    const CacheKey key = {.id = image->id};
    g_auto(Turn) turn = {0};
    g_autoptr(GError) read_only = NULL;
    bool is_ok = turn_take(&key, &turn, &read_only) || interrupt_check(error);

    /* Where no lock can be made nothing can be healed; but it can still be told. */

    *out_heal = (Heal){.state = HEAL_UNKNOWN};
    for (guint i = 0; is_ok && i < image->names->len && out_heal->state >= HEAL_DAMAGED; i++) {
        g_auto(Heal) heal = {0};

        is_ok = verify_as(image, g_ptr_array_index(image->names, i), read_only, &heal, error);
        if (is_ok && (i == 0 || heal.state < out_heal->state)) {
            heal_clear(out_heal);
            *out_heal = heal;
            heal = (Heal){0};
        }
    }
    if (out_heal->reason == NULL && out_heal->state == HEAL_UNKNOWN)
        out_heal->reason = g_strdup("nobody remembers what it is");
    return is_ok;
}

/* ---- what came out ---- */

static void
print(const CacheImage *image, const Heal *heal)
{
    g_autofree char *full = contents_name(image), *name = cli_safe(full);
    g_autofree char *fetched = cli_format_size(heal->fetched_bytes);

    switch (heal->state) {
    case HEAL_GOOD:
        printf("%s: good\n", name);
        break;
    case HEAL_HEALED:
        printf("%s: healed: %u of %u blocks were damaged, %s fetched\n", name, heal->bad, heal->blocks,
               fetched);
        break;
    case HEAL_DAMAGED:
        printf("%s: damaged: %u of %u blocks: %s\n", name, heal->bad, heal->blocks, heal->reason);
        break;
    case HEAL_UNKNOWN:
        printf("%s: cannot be verified block by block: %s\n", name, heal->reason);
        break;
    }
}

static Json *
to_json(const CacheImage *image, const Heal *heal)
{
    Json *json = json_new_object();
    g_autofree char *name = contents_name(image);

    json_set_text(json, "id", image->id);
    json_set_text(json, "name", name);
    json_set_text(json, "path", image->path);
    json_set_text(json, "state", heal_state_name(heal->state));
    json_set_number(json, "blocks", heal->blocks);
    json_set_number(json, "damaged_blocks", heal->bad);
    json_set_number(json, "fetched_size", (int64_t)MIN(heal->fetched_bytes, G_MAXINT64));
    json_set_text(json, "reason", heal->reason);
    return json;
}

static bool
run(int argc, char **argv, GError **error)
{
    g_autoptr(CacheContents) contents = contents_read();
    g_autoptr(GPtrArray) chosen = choose(contents, argc, argv, error);
    g_autoptr(Json) list = json_new_array();
    unsigned damaged = 0;

    if (chosen == NULL || (chosen->len > 0 && !cache_prepare(error)))
        return false;
    for (guint i = 0; i < chosen->len; i++) {
        const CacheImage *image = g_ptr_array_index(chosen, i);
        g_auto(Heal) heal = {0};

        if (!verify(image, &heal, error))
            return false;
        damaged += heal.state == HEAL_DAMAGED;
        if (option_json)
            json_append(list, to_json(image, &heal));
        else
            print(image, &heal);
    }
    if (option_json)
        show_json(list);
    return damaged == 0 ||
           error_set(error, "%u of %u images %s damaged", damaged, chosen->len, damaged == 1 ? "is" : "are");
}

const Verb FETCH_VERB_CACHE_VERIFY = {
    .name = "cache verify",
    .arguments = "[IMAGE...]",
    .summary = "Compare the images in the cache with their digests and heal what is damaged",
    .description = "IMAGE is NAME, SOURCE/NAME or an id; without any, all. Only damaged blocks are fetched.",
    .options = OPTIONS,
    .max_arguments = -1,
    .run = run,
};
