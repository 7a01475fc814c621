// SPDX-License-Identifier: Apache-2.0
/* The page of one repository, and the list of several: everything but the images themselves. */
#include "repod/page_parts.h"

#include <string.h>

#define MAX_CHOICES 64u /* in a filter */

void
page_add_date(Page *page, int64_t when)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(when);
    g_autofree char *exact = date != NULL ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%SZ") : NULL;
    g_autofree char *text = date != NULL ? g_date_time_format(date, "%Y-%m-%d %H:%M UTC") : NULL;

    if (exact == NULL || text == NULL) {
        page_add(page, "unknown");
        return;
    }
    g_string_append_printf(page->html, "<time datetime=\"%s\">%s</time>", exact, text);
}

void
page_add_size(Page *page, uint64_t bytes)
{
    g_autofree char *text = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);

    g_string_append_printf(page->html, "<data value=\"%" G_GUINT64_FORMAT "\">", (guint64)bytes);
    page_add_text(page, text);
    page_add(page, "</data>");
}

/* Names of sections and files in the commands: that of the repository, or a plain one where the server has but one. */
static const char *
source_name(const Catalogue *catalogue)
{
    return strcmp(catalogue->site, "default") == 0 ? "images" : catalogue->site;
}

/* What is pinned here is what a client should pin: all root keys, or the key itself. */
static void
add_pins(Page *page, const Catalogue *catalogue)
{
    const char *const alone[] = {catalogue->fingerprint, NULL};
    const bool has_roots = catalogue->roots != NULL;
    const char *const *pins = has_roots ? (const char *const *)catalogue->roots : alone;

    for (; *pins != NULL; pins++) {
        page_add(page, has_roots ? " \\\n    --root " : " \\\n    --fingerprint ");
        page_add_text(page, *pins);
    }
}

static void
add_use(Page *page, const Catalogue *catalogue)
{
    const char *name = source_name(catalogue);

    page_add(page,
             "<section class=\"use\" aria-labelledby=\"use\">\n<h2 id=\"use\">Use this repository</h2>\n"
             "<div class=\"ways\">\n<div>\n<h3>With virt-depot</h3>\n<pre><code>virt-depot source add ");
    page_add_text(page, name);
    page_add(page, " ");
    page_add_url(page);
    add_pins(page, catalogue);
    page_add(page, "\nvirt-depot list</code></pre>\n</div>\n<div>\n<h3>With virt-builder</h3>\n"
                   "<pre><code>mkdir -p ~/.config/virt-builder/repos.d\ncd ~/.config/virt-builder/repos.d\n"
                   "curl -fo ");
    page_add_text(page, name);
    page_add(page, ".asc ");
    page_add_url(page);
    page_add(page, "keys.asc\ncat &gt;");
    page_add_text(page, name);
    page_add(page, ".conf &lt;&lt;EOF\n[");
    page_add_text(page, name);
    page_add(page, "]\nuri=");
    page_add_url(page);
    page_add(page, "index.asc\ngpgkey=file://$PWD/");
    page_add_text(page, name);
    page_add(page, ".asc\nEOF\nvirt-builder --list</code></pre>\n"
                   "<p class=\"hint\">Compare the key with the fingerprint before you rely on it: "
                   "<code>gpg --show-keys ");
    page_add_text(page, name);
    page_add(page, ".asc</code></p>\n</div>\n</div>\n</section>\n");
}

static void
add_fingerprint(Page *page, const char *fingerprint)
{
    page_add(page, "<code class=\"fingerprint\">");
    for (size_t i = 0; i < strlen(fingerprint); i++)
        g_string_append_printf(page->html, "%s%c", i > 0 && i % 4 == 0 ? " " : "", fingerprint[i]);
    page_add(page, "</code>");
}

static void
add_facts(Page *page, const Catalogue *catalogue)
{
    page_add(page, "<dl class=\"facts\">\n<div class=\"wide\"><dt>Signed by key</dt><dd>");
    add_fingerprint(page, catalogue->fingerprint);
    for (char **root = catalogue->roots; root != NULL && *root != NULL; root++) {
        page_add(page, "</dd></div>\n<div class=\"wide\"><dt>Root key</dt><dd>");
        add_fingerprint(page, *root);
    }
    g_string_append_printf(page->html,
                           "</dd></div>\n<div><dt>Version</dt><dd>%" G_GUINT64_FORMAT "</dd></div>\n",
                           (guint64)catalogue->index->version);
    page_add(page, "<div><dt>Signed</dt><dd>");
    page_add_date(page, catalogue->signed_at);
    page_add(page, "</dd></div>\n<div><dt>Valid until</dt><dd>");
    if (catalogue->expires_at != 0)
        page_add_date(page, catalogue->expires_at);
    else
        page_add(page, "no end stated");
    page_add(page, "</dd></div>\n</dl>\n");
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* choices: (element-type utf8) sorted, each once. */
static GPtrArray *
choices(const Index *index, char *(*choice)(const IndexEntry *entry))
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *sorted = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < index->entries->len && sorted->len < MAX_CHOICES; i++) {
        char *text = choice(g_ptr_array_index(index->entries, i));

        if (*text != '\0' && !g_hash_table_contains(seen, text))
            g_ptr_array_add(sorted, g_strdup(text));
        g_hash_table_add(seen, text);
    }
    g_ptr_array_sort(sorted, compare_texts);
    return sorted;
}

static char *
arch_of(const IndexEntry *entry)
{
    return g_strdup(entry->arch);
}

static void
add_select(Page *page, const char *id, const char *label, const Index *index,
           char *(*choice)(const IndexEntry *entry))
{
    g_autoptr(GPtrArray) texts = choices(index, choice);

    g_string_append_printf(
        page->html, "<label for=\"%s\">%s</label>\n<select id=\"%s\">\n<option value=\"\">All</option>\n", id,
        label, id);
    for (guint i = 0; i < texts->len; i++) {
        page_add(page, "<option>");
        page_add_text(page, g_ptr_array_index(texts, i));
        page_add(page, "</option>\n");
    }
    page_add(page, "</select>\n");
}

/* Hidden until the script shows it: without one it would do nothing. */
static void
add_filter(Page *page, const Index *index)
{
    page_add(
        page,
        "<form id=\"filter\" role=\"search\" hidden>\n<label for=\"words\">Search</label>\n"
        "<input id=\"words\" type=\"search\" autocomplete=\"off\" placeholder=\"Name, system, notes\">\n");
    add_select(page, "os", "System", index, catalogue_os);
    add_select(page, "arch", "Architecture", index, arch_of);
    page_add(page, "<p id=\"count\" role=\"status\"></p>\n</form>\n");
}

static void
add_images(Page *page, const Catalogue *catalogue)
{
    const GPtrArray *entries = catalogue->index->entries;
    guint n_shown = 0, n_left = 0;

    page_add(page, "<section aria-labelledby=\"images\">\n<h2 id=\"images\">Images</h2>\n");
    add_filter(page, catalogue->index);
    page_add(page, "<div id=\"list\">\n");
    for (guint i = 0; i < entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(entries, i);

        if (entry->is_hidden)
            continue;
        if (n_shown++ < PAGE_MAX_IMAGES)
            page_add_image(page, catalogue, entry);
        else
            n_left++;
    }
    page_add(page, "</div>\n");
    if (n_shown == 0)
        page_add(page, "<p class=\"hint\">There is no image yet.</p>\n");
    if (n_left > 0)
        g_string_append_printf(
            page->html,
            "<p class=\"hint\">%u more are not on this page; <a href=\"./api/v1/index\">the API</a> has "
            "all of them.</p>\n",
            n_left);
    page_add(page, "</section>\n");
}

static void
add_head(Page *page, const Catalogue *catalogue)
{
    g_autofree char *title = strcmp(catalogue->site, "default") == 0
                                 ? g_strdup("Virtual machine images")
                                 : g_strdup_printf("Virtual machine images: %s", catalogue->site);

    page_begin(page, title);
    page_add(page, "<header>\n<h1>");
    page_add_text(page, title);
    page_add(page, "</h1>\n</header>\n<main>\n");
}

static void
add_footer(Page *page, const Catalogue *catalogue)
{
    page_add(page, "</main>\n<footer>\n<p>");
    if (catalogue->n_unread > 0)
        g_string_append_printf(
            page->html,
            "%u older versions are kept but not shown: they are too many, or another key signed "
            "them. ",
            catalogue->n_unread);
    page_add(page,
             "As JSON: <a href=\"./api/v1/index\">index</a>, <a href=\"./api/v1/history\">history</a>. "
             "Signed texts: <a href=\"./index.asc\">index.asc</a>, <a href=\"./keys.asc\">keys.asc</a>.</p>\n"
             "</footer>\n");
}

void
page_render(Page *page, const Catalogue *catalogue)
{
    add_head(page, catalogue);
    if (catalogue->problem != NULL) {
        page_add(page,
                 "<section class=\"problem\" role=\"alert\">\n<h2>There is no catalogue to show</h2>\n<p>");
        page_add_text(page, catalogue->problem);
        page_add(page, ".</p>\n");
        if (!catalogue->is_empty)
            page_add(
                page,
                "<p>Only what its signature covers is shown here. virt-depot and virt-builder refuse such "
                "an index too.</p>\n");
        page_add(page, "</section>\n</main>\n");
    } else {
        add_facts(page, catalogue);
        add_use(page, catalogue);
        add_images(page, catalogue);
        add_footer(page, catalogue);
    }
    page_end(page);
}

void
page_render_list(Page *page, const GPtrArray *sites)
{
    page_begin(page, "Virtual machine images");
    page_add(
        page,
        "<header>\n<h1>Virtual machine images</h1>\n</header>\n<main>\n<section>\n<h2>Repositories</h2>\n");
    page_add(page,
             sites->len > 0 ? "<ul class=\"sites\">\n" : "<p class=\"hint\">None of them is public.</p>\n");
    for (guint i = 0; i < sites->len; i++) {
        const ConfigSite *site = g_ptr_array_index(sites, i);

        page_add(page, "<li><a href=\"");
        html_append_path(page->html, site->prefix);
        page_add(page, "\">");
        page_add_text(page, site->name);
        page_add(page, "</a></li>\n");
    }
    page_add(page, sites->len > 0 ? "</ul>\n" : "");
    page_add(page, "</section>\n</main>\n");
    page_end(page);
}
