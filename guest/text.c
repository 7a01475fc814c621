// SPDX-License-Identifier: Apache-2.0
/* Reads and edits the text of a guest's small configuration files. Reading and writing the files is apply.c's. */
#include "guest/text.h"

#include <string.h>

/* Every type of SSH key starts with the length of its name: three zero bytes, which are "AAAA" in base64. */
#define KEY_BLOB_PREFIX "AAAA"
#define KEY_BLOB_MIN 32u /* the shortest real one, ed25519, has 68 characters */

char *
text_os_release(const char *text, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    size_t key_length = strlen(key);
    char *value = NULL;

    for (unsigned i = 0; lines[i] != NULL; i++) {
        const char *line = g_strstrip(lines[i]);
        char *unquoted;

        if (strncmp(line, key, key_length) != 0 || line[key_length] != '=')
            continue;
        unquoted = g_shell_unquote(line + key_length + 1, NULL);
        if (unquoted == NULL)
            continue;
        g_free(value);
        value = unquoted;
    }
    return value;
}

/* fields: the parts of a line between blanks; (transfer full) */
static char **
fields(const char *line)
{
    g_auto(GStrv) all = g_strsplit_set(line, " \t\r", -1);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (unsigned i = 0; all[i] != NULL; i++)
        if (all[i][0] != '\0')
            g_strv_builder_add(builder, all[i]);
    return g_strv_builder_end(builder);
}

static void
mount_free(TextMount *mount)
{
    g_free(mount->spec);
    g_free(mount->path);
    g_free(mount->type);
    g_free(mount->options);
    g_free(mount);
}

GPtrArray *
text_fstab(const char *text)
{
    GPtrArray *mounts = g_ptr_array_new_with_free_func((GDestroyNotify)mount_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) part = fields(lines[i]);
        TextMount *mount;

        if (g_strv_length(part) < 3 || part[0][0] == '#')
            continue;
        mount = g_new0(TextMount, 1);
        mount->spec = g_strcompress(part[0]);
        mount->path = g_strcompress(part[1]);
        mount->type = g_strdup(part[2]);
        mount->options = g_strdup(part[3] != NULL ? part[3] : "defaults");
        g_ptr_array_add(mounts, mount);
    }
    return mounts;
}

char *
text_option(const char *options, const char *name)
{
    g_auto(GStrv) all = g_strsplit(options, ",", -1);
    size_t length = strlen(name);

    for (unsigned i = 0; all[i] != NULL; i++)
        if (strncmp(all[i], name, length) == 0 && all[i][length] == '=')
            return g_strdup(all[i] + length + 1);
    return NULL;
}

bool
text_has_option(const char *options, const char *name)
{
    g_auto(GStrv) all = g_strsplit(options, ",", -1);
    g_autofree char *value = text_option(options, name);

    return value != NULL || g_strv_contains((const char *const *)all, name);
}

void
text_user_clear(TextUser *user)
{
    g_clear_pointer(&user->home, g_free);
}

static bool
parse_id(const char *text, int *out_id)
{
    guint64 id;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT, &id, NULL))
        return false;
    *out_id = (int)id;
    return true;
}

bool
text_find_user(const char *passwd, const char *name, TextUser *out_user)
{
    g_auto(GStrv) lines = g_strsplit(passwd, "\n", -1);

    for (unsigned i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) part = g_strsplit(lines[i], ":", -1);
        TextUser user = {0};

        if (g_strv_length(part) < 6 || strcmp(part[0], name) != 0)
            continue;
        if (!parse_id(part[2], &user.uid) || !parse_id(part[3], &user.gid) || part[5][0] != '/')
            return false;
        user.home = g_strdup(part[5]);
        *out_user = user;
        return true;
    }
    return false;
}

char *
text_set_password(const char *shadow, const char *user, const char *hash, long today)
{
    g_auto(GStrv) lines = g_strsplit(shadow, "\n", -1);
    bool is_found = false;

    for (unsigned i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) part = g_strsplit(lines[i], ":", -1);

        if (g_strv_length(part) < 3 || strcmp(part[0], user) != 0)
            continue;
        g_free(part[1]);
        part[1] = g_strdup(hash);
        g_free(part[2]);
        part[2] = g_strdup_printf("%ld", today);
        if (g_strv_length(part) > 7)
            part[7][0] = '\0';
        g_free(lines[i]);
        lines[i] = g_strjoinv(":", part);
        is_found = true;
    }
    return is_found ? g_strjoinv("\n", lines) : NULL;
}

/* is_name: whether @word is @name or a longer name in a domain of it */
static bool
is_name(const char *word, const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;

    return length > 0 && g_ascii_strncasecmp(word, name, length) == 0 &&
           (word[length] == '\0' || word[length] == '.');
}

/* with_names: a hosts line that keeps its address and foreign names, or NULL where the line is to stay as it is */
static char *
with_names(const char *line, const char *old_name, const char *old_label, const char *names)
{
    g_autofree char *bare = g_strndup(line, strcspn(line, "#"));
    g_auto(GStrv) word = fields(bare);
    bool is_debian_line, is_found = false;
    GString *out;

    if (word[0] == NULL || (!g_str_has_prefix(word[0], "127.") && strcmp(word[0], "::1") != 0))
        return NULL;
    is_debian_line = strcmp(word[0], "127.0.1.1") == 0;
    out = g_string_new(word[0]);
    g_string_append_c(out, '\t');
    if (is_debian_line)
        g_string_append_printf(out, "%s ", names);
    for (unsigned i = 1; word[i] != NULL; i++) {
        if (!(is_debian_line && old_name == NULL) && !is_name(word[i], old_name) &&
            !is_name(word[i], old_label)) {
            g_string_append_printf(out, "%s ", word[i]);
        } else if (!is_found) {
            is_found = true;
            if (!is_debian_line)
                g_string_append_printf(out, "%s ", names);
        }
    }
    /* A 127.0.1.1 line with other names alone is somebody's own. */
    if (!is_found && !(is_debian_line && word[1] == NULL))
        return g_string_free(out, TRUE), NULL;
    g_string_truncate(out, out->len - 1);
    if (bare[strlen(bare)] != line[strlen(bare)])
        g_string_append_printf(out, " %s", line + strlen(bare));
    return g_string_free(out, FALSE);
}

static char *
first_label(const char *name)
{
    return g_strndup(name, strcspn(name, "."));
}

char *
text_set_hosts_name(const char *hosts, const char *old_name, const char *new_name)
{
    g_auto(GStrv) lines = g_strsplit(hosts, "\n", -1);
    g_autofree char *label = first_label(new_name);
    g_autofree char *names =
        strcmp(label, new_name) == 0 ? g_strdup(label) : g_strdup_printf("%s %s", new_name, label);
    g_autofree char *old_label = NULL;
    bool is_found = false;
    char *text;

    /* "localhost" is no name that a machine may lose. */
    if (old_name != NULL && (old_name[0] == '\0' || is_name(old_name, "localhost")))
        old_name = NULL;
    old_label = old_name != NULL ? first_label(old_name) : NULL;
    for (unsigned i = 0; lines[i] != NULL; i++) {
        char *changed = with_names(lines[i], old_name, old_label, names);

        if (changed == NULL)
            continue;
        g_free(lines[i]);
        lines[i] = changed;
        is_found = true;
    }
    text = g_strjoinv("\n", lines);
    if (!is_found) {
        g_autofree char *old = text;
        const char *gap = old[0] == '\0' || g_str_has_suffix(old, "\n") ? "" : "\n";

        text = g_strdup_printf("%s%s127.0.1.1\t%s\n", old, gap, names);
    }
    return text;
}

char *
text_set_variable(const char *text, const char *name, const char *value)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *start = g_strdup_printf("%s=", name);
    g_autofree char *joined = NULL;
    bool is_found = false;

    for (unsigned i = 0; lines[i] != NULL; i++) {
        if (!g_str_has_prefix(lines[i], start))
            continue;
        g_free(lines[i]);
        lines[i] = g_strconcat(start, value, NULL);
        is_found = true;
    }
    joined = g_strjoinv("\n", lines);
    if (is_found)
        return g_steal_pointer(&joined);
    return g_strconcat(joined, joined[0] == '\0' || g_str_has_suffix(joined, "\n") ? "" : "\n", start, value,
                       "\n", NULL);
}

char *
text_key_blob(const char *line)
{
    g_auto(GStrv) word = fields(line);

    for (unsigned i = 1; i < g_strv_length(word); i++)
        if (g_str_has_prefix(word[i], KEY_BLOB_PREFIX) && strlen(word[i]) >= KEY_BLOB_MIN)
            return g_strdup(word[i]);
    return NULL;
}

char *
text_add_keys(const char *text, const char *const *keys)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GString *out = g_string_new(text);

    for (unsigned i = 0; lines[i] != NULL; i++) {
        char *blob = lines[i][0] != '#' ? text_key_blob(lines[i]) : NULL;

        if (blob != NULL)
            g_hash_table_add(known, blob);
    }
    for (unsigned i = 0; keys[i] != NULL; i++) {
        char *blob = text_key_blob(keys[i]);
        g_autofree char *line = g_strstrip(g_strdup(keys[i]));

        if (blob != NULL && !g_hash_table_add(known, blob))
            continue;
        if (out->len > 0 && out->str[out->len - 1] != '\n')
            g_string_append_c(out, '\n');
        g_string_append_printf(out, "%s\n", line);
    }
    return g_string_free(out, FALSE);
}

char *
text_mountable_device(const char *mountable)
{
    static const char BTRFS[] = "btrfsvol:", DISK[] = "/dev/sd";
    const char *end;

    if (!g_str_has_prefix(mountable, BTRFS))
        return g_strdup(mountable);
    mountable += sizeof BTRFS - 1;
    if (!g_str_has_prefix(mountable, DISK))
        return NULL;
    end = strchr(mountable + sizeof DISK - 1, '/');
    return end != NULL ? g_strndup(mountable, (gsize)(end - mountable)) : g_strdup(mountable);
}

char *
text_line_to_append(const char *start, size_t start_size, bool is_line_ended, const char *line)
{
    const char *newline = start_size > 0 ? memchr(start, '\n', start_size) : NULL;
    const char *end = newline != NULL && newline > start && newline[-1] == '\r' ? "\r\n" : "\n";

    return g_strconcat(is_line_ended ? "" : end, line, end, NULL);
}
