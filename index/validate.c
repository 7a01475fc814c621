// SPDX-License-Identifier: Apache-2.0
/* What a valid entry is: names, paths, digests and numbers that may be believed, printed and published. */
#include "index/validate.h"
#include "base/digest.h"
#include "index/grammar.h"

#include <string.h>

bool
index_is_name(const char *name)
{
    return index_grammar_is_name(name) && strlen(name) <= INDEX_MAX_NAME && *name != '-' && *name != '.';
}

/* Relative, downward, and nothing that a URL parser, a terminal or a log line could take for something else.
 */
bool
index_path_check(const char *field, const char *path, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    if (*path == '\0')
        return error_set(error, "%s is empty", field);
    if (*path == '/')
        return error_set(error, "%s must be relative to the index", field);
    if (strstr(path, "://") != NULL)
        return error_set(error, "%s must not be a URL", field);
    for (const char *p = path; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return error_set(error, "%s has a control character", field);
    for (char **part = parts; *part != NULL; part++)
        if (strcmp(*part, "..") == 0)
            return error_set(error, "%s must not contain '..'", field);
    return true;
}

static bool
check_digests(const IndexEntry *entry, GError **error)
{
    if (entry->sha512 != NULL && !digest_is_hex(DIGEST_SHA512, entry->sha512))
        return error_set(error, "the checksum is not a SHA-512 digest in hex");
    if (entry->sha256 != NULL && !digest_is_hex(DIGEST_SHA256, entry->sha256))
        return error_set(error, "checksum[sha256] is not a SHA-256 digest in hex");
    return true;
}

static bool
check_fields(const IndexEntry *entry, GError **error)
{
    if (entry->arch == NULL || !index_grammar_is_name(entry->arch))
        return error_set(error, entry->arch == NULL ? "no field 'arch'" : "bad architecture");
    if (entry->file == NULL)
        return error_set(error, "no field 'file'");
    if (!index_path_check("file", entry->file, error))
        return false;
    if (entry->sig != NULL && !index_path_check("sig", entry->sig, error))
        return false;
    if (entry->size > INT64_MAX || entry->compressed_size > INT64_MAX || entry->revision > INT64_MAX)
        return error_set(error, "a number above 2^63-1");
    if (entry->format != NULL && strcmp(entry->format, "raw") != 0 && strcmp(entry->format, "qcow2") != 0)
        return error_set(error, "format is neither raw nor qcow2");
    for (char **alias = entry->aliases; alias != NULL && *alias != NULL; alias++)
        if (!index_is_name(*alias))
            return error_set(error, "an alias is not a name");
    return check_digests(entry, error);
}

bool
index_entry_check(const IndexEntry *entry, GError **error)
{
    if (entry->name == NULL || !index_is_name(entry->name))
        return error_set(error,
                         "an entry's name must be letters, digits, '-', '_' and '.', at most %u, and start "
                         "with neither '-' nor '.'",
                         INDEX_MAX_NAME);
    if (!check_fields(entry, error)) {
        g_prefix_error(error, "entry '%s': ", entry->name);
        return false;
    }
    return true;
}

bool
index_entry_validate(const IndexEntry *entry, GError **error)
{
    return index_entry_check(entry, error) &&
           (entry->size > 0 || error_set(error, "entry '%s': no field 'size'", entry->name));
}
