// fuzz: guest
// SPDX-License-Identifier: Apache-2.0
/* The files of a guest are whatever the guest made of them: every reader and edit of guest/text.c takes any text. */
#include "guest/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
name_again(const char *hosts)
{
    g_autofree char *once = text_set_hosts_name(hosts, "h1", "h1"); /* may still change blanks */
    g_autofree char *twice = text_set_hosts_name(once, "h1", "h1");

    if (strcmp(once, twice) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKp6sD0z2gYcJYjn", NULL};
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autofree char *value = text_os_release(text, "ID");
    g_autofree char *shadow = text_set_password(text, "root", "$y$x", 1);
    g_autofree char *variable = text_set_variable(text, "HOSTNAME", "h1");
    g_autofree char *added = text_add_keys(text, keys);
    g_autofree char *twice = text_add_keys(added, keys);
    g_autofree char *hosts = NULL;
    g_autoptr(GPtrArray) mounts = text_fstab(text);
    g_auto(TextUser) user = {0};

    text_find_user(text, "root", &user);
    if (strcmp(added, twice) != 0)
        abort();
    hosts = text_set_hosts_name(text, "debian", "h1");
    name_again(hosts);
    return 0;
}
