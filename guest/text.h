// SPDX-License-Identifier: Apache-2.0
/*
 * Small configuration files of a guest, as text: what they say, and the same text with one fact changed. Pure:
 * nothing here reads a disk. The texts come from guests, so any bytes are accepted; none may hold a NUL.
 */
#pragma once

#include "base/error.h"

/** text_os_release: (transfer full) the unquoted value of @key in os-release(5) text, or NULL. The last one wins. */
char *text_os_release(const char *text, const char *key);

/** TextMount: a line of fstab(5), its octal escapes undone. */
typedef struct {
    char *spec; /* "UUID=...", "/dev/vda1" */
    char *path;
    char *type;
    char *options;
} TextMount;

/** text_fstab: (element-type TextMount) (transfer container and elements) every complete line. */
GPtrArray *text_fstab(const char *text);

/** text_has_option: whether the comma-separated @options hold @name, alone or with a value. */
bool text_has_option(const char *options, const char *name);

/** text_option: (transfer full) the value of "@name=value" in comma-separated @options, or NULL. */
char *text_option(const char *options, const char *name);

/** TextUser: a line of passwd(5). */
typedef struct {
    char *home;
    int uid, gid;
} TextUser;
void text_user_clear(TextUser *user);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TextUser, text_user_clear)

/** text_find_user: look @name up in passwd(5) text; false where it is not there or its line is damaged. */
bool text_find_user(const char *passwd, const char *name, TextUser *out_user);

/**
 * text_set_password: shadow(5) text in which @user has the password @hash, changed on day @today since 1970, in
 * an account that does not expire.
 * Returns: (transfer full) the new text, or NULL where @user has no line
 */
char *text_set_password(const char *shadow, const char *user, const char *hash, long today);

/**
 * text_set_hosts_name: hosts(5) text in which the loopback lines that named @old_name (alone or with a domain), or
 * that are Debian's 127.0.1.1 line, name @new_name: the full name first, then its first label.
 * Other lines stay as they are; where no line named the old name, one for 127.0.1.1 is added.
 * @old_name: (nullable)
 */
char *text_set_hosts_name(const char *hosts, const char *old_name, const char *new_name);

/** text_set_variable: (transfer full) shell-style text in which NAME=VALUE replaces every NAME= line, else is added. */
char *text_set_variable(const char *text, const char *name, const char *value);

/**
 * text_add_keys: (transfer full) authorized_keys text with those @keys added whose key is not in it yet, whatever
 * its comment or options. A missing final newline is supplied.
 */
char *text_add_keys(const char *text, const char *const *keys);

/** text_key_blob: (transfer full) the base64 part of a public key line, or NULL where there is none. */
char *text_key_blob(const char *line);

/**
 * text_mountable_device: (transfer full) (nullable) the device in libguestfs's name for what can be mounted: "/dev/sda1" of
 * "/dev/sda1" and of "btrfsvol:/dev/sda1/root"; NULL for a btrfs volume on anything but a partition or disk, whose name alone
 * does not say where it ends.
 */
char *text_mountable_device(const char *mountable);

/**
 * text_line_to_append: (transfer full) what to add to a file so that it ends with @line: with a newline before it where the
 * file's last line has none (@is_line_ended), and ended as the lines at the file's @start (nullable, any bytes) are, by \n or \r\n.
 */
char *text_line_to_append(const char *start, size_t start_size, bool is_line_ended, const char *line);
