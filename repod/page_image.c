// SPDX-License-Identifier: Apache-2.0
/* One image on the page. */
#include "repod/page_parts.h"

#include <string.h>

#define PACKAGES "x_packages"
#define MANIFEST "x_manifest"

/* The value of an attribute that the script searches. */
static void
add_attribute(Page *page, const char *name, const char *value)
{
    g_string_append_printf(page->html, " %s=\"", name);
    page_add_text(page, value);
    page_add(page, "\"");
}

static void
add_fact(Page *page, const char *name, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    g_string_append_printf(page->html, "<div><dt>%s</dt><dd><bdi>", name);
    page_add_text(page, value);
    page_add(page, "</bdi></dd></div>\n");
}

static void
add_size_fact(Page *page, const char *name, uint64_t bytes)
{
    if (bytes == 0)
        return;
    g_string_append_printf(page->html, "<div><dt>%s</dt><dd>", name);
    page_add_size(page, bytes);
    page_add(page, "</dd></div>\n");
}

static char *
system_text(const IndexEntry *entry)
{
    const char *os = index_entry_extension(entry, "x_os");
    const char *version = index_entry_extension(entry, "x_os_version");

    if (os != NULL && version != NULL)
        return g_strdup_printf("%s %s", os, version);
    return g_strdup(os != NULL ? os : entry->osinfo);
}

static void
add_facts(Page *page, const IndexEntry *entry, const GPtrArray *history)
{
    const CatalogueRevision *last = history != NULL ? g_ptr_array_index(history, history->len - 1) : NULL;
    g_autofree char *system = system_text(entry);
    g_autofree char *revision = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)entry->revision);

    page_add(page, "<dl class=\"facts\">\n");
    add_fact(page, "System", system);
    add_fact(page, "Architecture", entry->arch);
    add_fact(page, "Revision", revision);
    add_size_fact(page, "Download", entry->compressed_size);
    add_size_fact(page, "Disk", entry->size);
    add_fact(page, "Format", entry->format);
    add_fact(page, "Firmware", index_entry_extension(entry, "x_firmware"));
    if (last != NULL && last->created != 0) {
        page_add(page, "<div><dt>Published</dt><dd>");
        page_add_date(page, last->created);
        page_add(page, "</dd></div>\n");
    }
    page_add(page, "</dl>\n");
}

/* They are to be pasted into a shell; names are of [-A-Za-z0-9._]. */
static void
add_commands(Page *page, const Catalogue *catalogue, const IndexEntry *entry)
{
    const char *source = strcmp(catalogue->site, "default") == 0 ? "images" : catalogue->site;
    g_autofree char *arch =
        index_is_name(entry->arch) ? g_strdup_printf(" --arch %s", entry->arch) : g_strdup("");

    page_add(page, "<pre><code>virt-depot pull ");
    page_add_text(page, source);
    page_add(page, "/");
    page_add_text(page, entry->name);
    page_add(page, arch);
    page_add(page, "</code></pre>\n<pre><code>virt-builder ");
    page_add_text(page, entry->name);
    page_add(page, arch);
    page_add(page, "</code></pre>\n");
}

static void
add_notes(Page *page, const IndexEntry *entry)
{
    static const char *const languages[] = {"en", "", NULL};
    const char *note = index_entry_note(entry, languages);

    if (note == NULL || *note == '\0')
        return;
    page_add(page, "<details>\n<summary>Notes</summary>\n<div class=\"notes\" dir=\"auto\">");
    page_add_text(page, note);
    page_add(page, "</div>\n</details>\n");
}

static void
add_link(Page *page, const char *path, const char *label)
{
    if (path == NULL || *path == '\0')
        return;
    page_add(page, "<li><a href=\"");
    html_append_path(page->html, path);
    g_string_append_printf(page->html, "\">%s</a></li>\n", label);
}

static const char *
blob_of(const IndexEntry *entry, const char *key)
{
    const char *path = index_entry_extension(entry, key);

    return path != NULL && g_str_has_prefix(path, "blobs/") && strstr(path, "..") == NULL ? path : NULL;
}

static void
add_files(Page *page, const IndexEntry *entry)
{
    page_add(page, "<details>\n<summary>Checksum and files</summary>\n");
    if (entry->sha512 != NULL || entry->sha256 != NULL) {
        g_string_append_printf(page->html, "<p>%s of the download:</p>\n<pre><code>",
                               entry->sha512 != NULL ? "SHA-512" : "SHA-256");
        page_add_text(page, entry->sha512 != NULL ? entry->sha512 : entry->sha256);
        page_add(page, "</code></pre>\n");
    }
    page_add(page, "<ul>\n");
    add_link(page, entry->file, "Image, compressed");
    add_link(page, blob_of(entry, PACKAGES), "Installed packages (SPDX)");
    add_link(page, blob_of(entry, MANIFEST), "Block manifest");
    page_add(page, "</ul>\n</details>\n");
}

static void
add_revision(Page *page, const CatalogueRevision *revision)
{
    g_string_append_printf(page->html, "<tr><td>%" G_GUINT64_FORMAT "</td><td>", (guint64)revision->revision);
    if (revision->created != 0)
        page_add_date(page, revision->created);
    page_add(page, "</td><td>");
    if (revision->compressed_size != 0)
        page_add_size(page, revision->compressed_size);
    page_add(page, "</td><td>");
    if (revision->size != 0)
        page_add_size(page, revision->size);
    page_add(page, "</td><td><code>");
    html_append(page->html, revision->sha512, 12);
    page_add(page, "</code></td></tr>\n");
}

static void
add_history(Page *page, const GPtrArray *history)
{
    if (history == NULL)
        return;
    g_string_append_printf(
        page->html,
        "<details>\n<summary>History (%u)</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"History\"><table>\n<thead><tr><th scope=\"col\">Revision</th><th "
        "scope=\"col\">Published</th><th scope=\"col\">Download</th><th scope=\"col\">Disk</th><th "
        "scope=\"col\">SHA-512</th></tr></thead>\n<tbody>\n",
        history->len);
    for (guint i = history->len; i > 0; i--)
        add_revision(page, g_ptr_array_index(history, i - 1));
    page_add(page, "</tbody>\n</table></div>\n</details>\n");
}

void
page_add_image(Page *page, const Catalogue *catalogue, const IndexEntry *entry)
{
    const GPtrArray *history = catalogue_history(catalogue, entry);
    g_autofree char *os = catalogue_os(entry);

    page_add(page, "<article");
    add_attribute(page, "data-os", os);
    add_attribute(page, "data-arch", entry->arch);
    page_add(page, ">\n<h3><bdi>");
    page_add_text(page, entry->title != NULL ? entry->title : entry->name);
    page_add(page, "</bdi></h3>\n<p class=\"name\"><code>");
    page_add_text(page, entry->name);
    page_add(page, "</code></p>\n");
    add_facts(page, entry, history);
    add_commands(page, catalogue, entry);
    add_notes(page, entry);
    add_files(page, entry);
    add_history(page, history);
    page_add(page, "</article>\n");
}
