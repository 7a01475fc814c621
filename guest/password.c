// SPDX-License-Identifier: Apache-2.0
/* Chooses a password scheme for a distribution and hashes with it, through the host's libcrypt. */
#include "guest/password.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

G_STATIC_ASSERT(PASSWORD_MAX_BYTES == CRYPT_MAX_PASSPHRASE_SIZE - 1);

#define RANDOM_LENGTH 16u
#define RANDOM_LETTERS (sizeof LETTERS - 1)
static const char LETTERS[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

#define YESCRYPT "$y$"
#define SHA512 "$6$" /* understood by every libc of the last fifteen years, musl included */

/* From which major version on login(1) has libxcrypt with yescrypt; 0: always (rolling, or no version at all). */
static const struct {
    const char *distro;
    int since;
} KNOWS_YESCRYPT[] = {
    {"debian", 11},
    {"ubuntu", 20},
    {"fedora", 30},
    {"rhel", 9},
    {"centos", 9},
    {"rocky", 9},
    {"almalinux", 9},
    {"ol", 9},
    {"oraclelinux", 9},
    {"sles", 15},
    {"opensuse-leap", 15},
    {"archlinux", 0},
    {"opensuse-tumbleweed", 0},
    {"arch", 0},
};

const char *
password_scheme(const char *distro, int major)
{
    for (unsigned i = 0; distro != NULL && i < G_N_ELEMENTS(KNOWS_YESCRYPT); i++)
        if (strcmp(KNOWS_YESCRYPT[i].distro, distro) == 0 && major >= KNOWS_YESCRYPT[i].since)
            return YESCRYPT;
    return SHA512;
}

char *
password_hash(const char *password, const char *scheme, GError **error)
{
    /* 32 KiB, and it holds the password afterwards. */
    struct crypt_data *data = g_new0(struct crypt_data, 1);
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    char *hash = NULL;

    if (crypt_gensalt_rn(scheme, 0, NULL, 0, salt, sizeof(salt)) == NULL)
        error_set_errno(error, "password: no salt for scheme '%s'", scheme);
    else if ((hash = g_strdup(crypt_rn(password, salt, data, sizeof(*data)))) == NULL)
        error_set_errno(error, "password: cannot hash with scheme '%s'", scheme);
    explicit_bzero(data, sizeof(*data));
    g_free(data);
    return hash;
}

char *
password_random(void)
{
    char *password = g_new0(char, RANDOM_LENGTH + 1);

    for (unsigned n = 0; n < RANDOM_LENGTH;) {
        unsigned char byte;

        if (getrandom(&byte, 1, 0) != 1)
            g_assert(errno == EINTR);
        else if (byte < 256u / RANDOM_LETTERS * RANDOM_LETTERS) /* each letter as likely as the others */
            password[n++] = LETTERS[byte % RANDOM_LETTERS];
    }
    return password;
}
