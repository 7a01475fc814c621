// SPDX-License-Identifier: Apache-2.0
/* Printing a guest's packages as SPDX 2.3 JSON. */
#include "publish/sbom.h"

#include "base/cli.h"
#include "base/json.h"

#include <string.h>

#define NO_ASSERTION "NOASSERTION"
#define IMAGE_ID "SPDXRef-Image"
#define PURL_UNESCAPED ".-_~:" /* and letters and digits: purl-spec, "Character encoding" */

/* ---- package URLs ---- */

static const char *
purl_type(const char *package_manager)
{
    static const char *const TYPES[][2] = {
        {"apt", "deb"},    {"dnf", "rpm"},   {"yum", "rpm"}, {"up2date", "rpm"},
        {"zypper", "rpm"}, {"urpmi", "rpm"}, {"apk", "apk"}, {"pacman", "alpm"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(TYPES); i++)
        if (g_strcmp0(package_manager, TYPES[i][0]) == 0)
            return TYPES[i][1];
    return NULL;
}

/* The vendor as purl-spec's type definitions call it, where libguestfs says otherwise. */
static const char *
purl_namespace(const char *distro)
{
    if (g_strcmp0(distro, "rhel") == 0)
        return "redhat";
    return g_strcmp0(distro, "archlinux") == 0 ? "arch" : distro;
}

static void
append_escaped(GString *url, const char *before, const char *text)
{
    g_string_append(url, before);
    for (; *text != '\0'; text++) {
        if (g_ascii_isalnum(*text) || strchr(PURL_UNESCAPED, *text) != NULL)
            g_string_append_c(url, *text);
        else
            g_string_append_printf(url, "%%%02X", (unsigned char)*text);
    }
}

char *
publish_sbom_purl(const GuestInfo *guest, const GuestPackage *package)
{
    const char *type = purl_type(guest->package_manager);
    const char *version = package->version;
    g_autofree char *epoch = NULL;
    g_autoptr(GString) url = NULL;
    const char *mark = "?";

    if (type == NULL || guest->distro == NULL || package->name == NULL)
        return NULL;
    if (version != NULL && strcmp(type, "rpm") == 0 && strchr(version, ':') != NULL) {
        epoch = g_strndup(version, strcspn(version, ":"));
        version += strlen(epoch) + 1;
    }
    url = g_string_new("pkg:");
    g_string_append(url, type);
    append_escaped(url, "/", purl_namespace(guest->distro));
    append_escaped(url, "/", package->name);
    if (version != NULL)
        append_escaped(url, "@", version);
    if (package->arch != NULL) {
        append_escaped(url, "?arch=", package->arch);
        mark = "&";
    }
    if (guest->version != NULL) {
        append_escaped(url, mark, "distro");
        append_escaped(url, "=", guest->distro);
        append_escaped(url, "-", guest->version);
        mark = "&";
    }
    if (epoch != NULL) {
        append_escaped(url, mark, "epoch");
        append_escaped(url, "=", epoch);
    }
    return g_string_free(g_steal_pointer(&url), FALSE);
}

/* ---- the document ---- */

static int
by_name(gconstpointer a, gconstpointer b)
{
    const GuestPackage *first = *(GuestPackage *const *)a, *second = *(GuestPackage *const *)b;
    int order = g_strcmp0(first->name, second->name);

    if (order == 0)
        order = g_strcmp0(first->version, second->version);
    return order != 0 ? order : g_strcmp0(first->arch, second->arch);
}

static GPtrArray *
sorted_packages(const GuestInfo *guest)
{
    GPtrArray *sorted = g_ptr_array_new();

    for (guint i = 0; guest->packages != NULL && i < guest->packages->len; i++) {
        GuestPackage *package = g_ptr_array_index(guest->packages, i);

        if (package->name != NULL)
            g_ptr_array_add(sorted, package);
    }
    g_ptr_array_sort(sorted, by_name);
    return sorted;
}

/* What every package of a document must say, and we do not know. */
static Json *
new_package(const char *id, const char *name, const char *version)
{
    Json *json = json_new_object();

    json_set_text(json, "SPDXID", id);
    json_set_text(json, "name", name);
    if (version != NULL)
        json_set_text(json, "versionInfo", version);
    json_set_text(json, "downloadLocation", NO_ASSERTION);
    json_set_flag(json, "filesAnalyzed", false);
    json_set_text(json, "licenseConcluded", NO_ASSERTION);
    json_set_text(json, "licenseDeclared", NO_ASSERTION);
    json_set_text(json, "copyrightText", NO_ASSERTION);
    return json;
}

static Json *
image_to_json(const PublishSbom *sbom)
{
    Json *json = new_package(IMAGE_ID, sbom->name, NULL), *sums = json_new_array(), *sum = json_new_object();

    json_set_text(json, "primaryPackagePurpose", "OPERATING-SYSTEM");
    if (sbom->guest->product != NULL)
        json_set_text(json, "summary", sbom->guest->product);
    json_set_text(sum, "algorithm", "SHA512");
    json_set_text(sum, "checksumValue", sbom->sha512);
    json_append(sums, sum);
    json_set(json, "checksums", sums);
    return json;
}

static Json *
package_to_json(const GuestInfo *guest, const GuestPackage *package, const char *id)
{
    Json *json = new_package(id, package->name, package->version);
    g_autofree char *purl = publish_sbom_purl(guest, package);
    g_autofree char *supplier = package->vendor != NULL ? g_strconcat("Organization: ", package->vendor, NULL)
                                                        : g_strdup(NO_ASSERTION);

    json_set_text(json, "supplier", supplier);
    if (package->source != NULL && strcmp(package->source, package->name) != 0) {
        g_autofree char *source = g_strconcat("built from ", package->source, NULL);

        json_set_text(json, "sourceInfo", source);
    }
    if (purl != NULL) {
        Json *references = json_new_array(), *reference = json_new_object();

        json_set_text(reference, "referenceCategory", "PACKAGE-MANAGER");
        json_set_text(reference, "referenceType", "purl");
        json_set_text(reference, "referenceLocator", purl);
        json_append(references, reference);
        json_set(json, "externalRefs", references);
    }
    return json;
}

static void
relate(Json *relationships, const char *from, const char *type, const char *to)
{
    Json *json = json_new_object();

    json_set_text(json, "spdxElementId", from);
    json_set_text(json, "relationshipType", type);
    json_set_text(json, "relatedSpdxElement", to);
    json_append(relationships, json);
}

static Json *
creation_to_json(const PublishSbom *sbom)
{
    Json *json = json_new_object(), *creators = json_new_array();
    g_autofree char *created = cli_format_time(sbom->created);

    json_set_text(json, "created", created);
    json_append_text(creators, "Tool: virt-depot");
    json_set(json, "creators", creators);
    return json;
}

char *
publish_sbom_print(const PublishSbom *sbom)
{
    g_autoptr(Json) json = json_new_object();
    g_autoptr(GPtrArray) sorted = sorted_packages(sbom->guest);
    Json *packages = json_new_array(), *relationships = json_new_array();
    g_autofree char *name = g_strdup_printf("%s (%s)", sbom->name, sbom->arch);
    /* The prefix that the specification gives to those who have no site for their documents. */
    g_autofree char *uri = g_strdup_printf("https://spdx.org/spdxdocs/virt-depot-%s", sbom->sha512);

    json_set_text(json, "spdxVersion", "SPDX-2.3");
    json_set_text(json, "dataLicense", "CC0-1.0");
    json_set_text(json, "SPDXID", "SPDXRef-DOCUMENT");
    json_set_text(json, "name", name);
    json_set_text(json, "documentNamespace", uri);
    json_set(json, "creationInfo", creation_to_json(sbom));
    json_append(packages, image_to_json(sbom));
    relate(relationships, "SPDXRef-DOCUMENT", "DESCRIBES", IMAGE_ID);
    for (guint i = 0; i < sorted->len; i++) {
        g_autofree char *id = g_strdup_printf("SPDXRef-Package-%u", i + 1);

        json_append(packages, package_to_json(sbom->guest, g_ptr_array_index(sorted, i), id));
        relate(relationships, IMAGE_ID, "CONTAINS", id);
    }
    json_set(json, "packages", packages);
    json_set(json, "relationships", relationships);
    return json_print(json);
}
