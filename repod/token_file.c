// SPDX-License-Identifier: Apache-2.0
/* Reading and replacing the file of tokens. */
#include "repod/token_file.h"

#include "base/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKENS_MODE 0600 /* hashes alone, but of nobody's concern */

void
token_file_clear(TokenFile *file)
{
    g_clear_pointer(&file->path, g_free);
    g_clear_pointer(&file->tokens, g_ptr_array_unref);
    if (file->lock >= 0)
        fd_close(fd_steal(&file->lock));
}

/* become_owner: writing as root in somebody else's folder would follow that one's links, and give it files it cannot read. */
static bool
become_owner(const char *state_dir, GError **error)
{
    struct stat status;

    if (stat(state_dir, &status) < 0)
        return error_set_errno(error, "%s: the server's state", state_dir);
    if (geteuid() != 0 || status.st_uid == 0 || (setegid(status.st_gid) == 0 && seteuid(status.st_uid) == 0))
        return true;
    return error_set_errno(error, "%s: cannot become its owner", state_dir);
}

static GPtrArray *
read_tokens(const char *path, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GBytes) text = file_read(path, TOKENS_MAX_BYTES, &local);

    if (text == NULL && g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return g_ptr_array_new_with_free_func((GDestroyNotify)token_free);
    if (text == NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    return tokens_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, error);
}

bool
token_file_open(const char *state_dir, bool is_writer, TokenFile *out_file, GError **error)
{
    g_auto(TokenFile) file = {.lock = -1};
    g_autofree char *lock = g_build_filename(state_dir, ".tokens.lock", NULL);

    if (is_writer && !become_owner(state_dir, error))
        return false;
    file.lock = is_writer ? file_lock(lock, true, error) : -1;
    if (is_writer && file.lock < 0)
        return false;
    file.path = g_build_filename(state_dir, "tokens", NULL);
    file.tokens = read_tokens(file.path, error);
    if (file.tokens == NULL)
        return false;
    *out_file = file;
    file = (TokenFile){.lock = -1};
    return true;
}

bool
token_file_write(const TokenFile *file, GError **error)
{
    g_autofree char *text = tokens_print(file->tokens);

    return file_write_atomic(file->path, text, strlen(text), TOKENS_MODE, error);
}
