// fuzz: repod
// SPDX-License-Identifier: Apache-2.0
/* The page and the API of any index: valid UTF-8, no tag, no attribute and no control byte that is not our own. */
#include "repod/api.h"
#include "repod/page.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
count(const char *text, const char *part)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

/* Which tags there may be: those that the page's makers write. */
static void
check_tags(const char *html)
{
    static const char *const known[] = {
        "!DOCTYPE", "html",    "head",    "meta",    "title",   "link",   "style",  "body",  "header",
        "h1",       "h2",      "h3",      "main",    "dl",      "div",    "dt",     "dd",    "code",
        "time",     "data",    "section", "pre",     "p",       "form",   "label",  "input", "select",
        "option",   "article", "bdi",     "details", "summary", "ul",     "li",     "a",     "table",
        "thead",    "tbody",   "tr",      "th",      "td",      "footer", "script",
    };

    for (const char *at = html; (at = strchr(at, '<')) != NULL; at++) {
        const char *name = at[1] == '/' ? at + 2 : at + 1;
        const size_t length = strspn(name, "!abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
        bool is_known = false;

        for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
            is_known |= strlen(known[i]) == length && strncmp(known[i], name, length) == 0;
        g_assert(is_known);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(Catalogue) catalogue = catalogue_new("default");
    g_autoptr(Page) page = page_new();
    g_autofree char *whole = NULL;
    g_autoptr(GBytes) index = NULL;
    g_autoptr(GBytes) history = NULL;
    g_autoptr(Json) json = NULL;

    catalogue->index = index_parse(bytes, "index", NULL, NULL);
    if (catalogue->index == NULL)
        return 0;
    catalogue->fingerprint = g_strdup("0123456789ABCDEF0123456789ABCDEF01234567");
    catalogue_add_version(catalogue, catalogue->index);
    page_render(page, catalogue);
    whole = g_strndup(g_bytes_get_data(page->text, NULL), g_bytes_get_size(page->text));
    g_assert(g_utf8_validate(whole, (gssize)g_bytes_get_size(page->text), NULL));
    g_assert(count(whole, "<script") == 1);
    {
        /* The script itself is not markup. */
        g_autofree char *markup = g_strndup(whole, (gsize)(strstr(whole, "<script>") - whole));

        check_tags(markup);
        for (const char *at = markup; *at != '\0'; at++)
            g_assert((unsigned char)*at >= 0x20 || *at == '\n' || *at == '\t');
    }
    index = api_index(catalogue);
    history = api_history(catalogue);
    json = json_parse(g_bytes_get_data(index, NULL), g_bytes_get_size(index), "index", NULL);
    g_assert(json != NULL && json_length(json_get(json, "images")) == catalogue->index->entries->len);
    return 0;
}
