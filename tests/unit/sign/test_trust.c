// SPDX-License-Identifier: Apache-2.0
/* Which version of trust is believed, with real signatures of four root keys. */
#include "sign/sign.h"

#include "gpg_fixture.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define INDEX_KEY "0123456789ABCDEF0123456789ABCDEF01234567"

static const char *const NAMES[] = {"a", "b", "c", "d"};
static char *roots[G_N_ELEMENTS(NAMES)];
static GBytes *keys;

static int
set_up(void **state G_GNUC_UNUSED)
{
    fixture_init();
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *user_id = g_strdup_printf("root %s", NAMES[i]);

        gpg_do("--quick-gen-key '%s' ed25519 sign never", user_id);
        roots[i] = key_fingerprint(user_id);
    }
    keys = key_export("");
    return 0;
}

static int
tear_down(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++)
        g_free(roots[i]);
    g_bytes_unref(keys);
    fixture_clear();
    return 0;
}

/* text_of: version @version with the root keys whose letters @letters has. */
static char *
text_of(uint64_t version, const char *letters, unsigned threshold, const char *index_key)
{
    g_autoptr(SignTrust) trust = sign_trust_new();

    trust->repo_id = g_strdup(ID);
    trust->version = version;
    trust->created = 1700000000;
    trust->expires = 1700000000 + 3600;
    trust->threshold = threshold;
    g_strfreev(trust->roots);
    trust->roots = g_new0(char *, strlen(letters) + 1);
    for (size_t i = 0; letters[i] != '\0'; i++)
        trust->roots[i] = g_strdup(roots[letters[i] - 'a']);
    sign_trust_add_index_key(trust, index_key, 0);
    return sign_trust_print(trust);
}

static void
append_signatures(GString *to, uint64_t version, const char *text, const char *letters)
{
    fixture_write("trust", text, strlen(text));
    for (; *letters != '\0'; letters++) {
        g_autoptr(GBytes) armour = NULL;

        gpg_do("--armor --local-user %s --output trust.sig --detach-sign trust", roots[*letters - 'a']);
        armour = fixture_read("trust.sig");
        sign_trust_print_signature(to, version, armour);
    }
}

typedef struct {
    const char *roots; /* letters; NULL: no such version */
    unsigned threshold;
    const char *signers;
} Version;

static const struct {
    const char *what;
    Version versions[3];
    unsigned accepted;  /* the version accepted before; 0: none, then: */
    const char *pinned; /* letters of the pinned roots */
    unsigned threshold;
    const char *expect; /* in the message; NULL: the last version is adopted */
} ROWS[] = {
    {"all pinned roots", {{"abc", 2, "abc"}}, 0, "abc", 3, NULL},
    {"enough pinned roots", {{"abc", 2, "ab"}}, 0, "abc", 2, NULL},
    {"a single root", {{"a", 1, "a"}}, 0, "a", 1, NULL},
    {"too few pinned roots", {{"abc", 2, "ab"}}, 0, "abc", 3, "2 of the pinned root keys, and 3 are needed"},
    {"other roots than pinned", {{"cd", 2, "cd"}}, 0, "ab", 1, "0 of the pinned root keys"},
    {"fewer than its own threshold",
     {{"abc", 2, "a"}},
     0,
     "a",
     1,
     "1 of its own root keys, and 2 are needed"},
    {"one root that signed twice", {{"abc", 2, "aa"}}, 0, "a", 1, "1 of its own root keys"},
    {"signers that are no roots", {{"ab", 2, "acd"}}, 0, "a", 1, "1 of its own root keys"},
    {"the last version counts for a newcomer", {{"ab", 2, ""}, {"cd", 2, "cd"}}, 0, "cd", 2, NULL},
    {"the next version", {{"abc", 2, "ab"}, {"abc", 2, "bc"}}, 1, "", 0, NULL},
    {"nothing new", {{"abc", 2, "ab"}}, 1, "", 0, NULL},
    {"a root exchanged", {{"abc", 2, "ab"}, {"bcd", 2, "bcd"}}, 1, "", 0, NULL},
    {"all roots exchanged", {{"ab", 2, "ab"}, {"cd", 2, "abcd"}}, 1, "", 0, NULL},
    {"two steps", {{"ab", 2, "ab"}, {"bc", 2, "abc"}, {"cd", 2, "bcd"}}, 1, "", 0, NULL},
    {"new roots without the old ones' word",
     {{"ab", 2, "ab"}, {"cd", 2, "cd"}},
     1,
     "",
     0,
     "the version before's"},
    {"new roots with too few old ones'",
     {{"ab", 2, "ab"}, {"cd", 2, "acd"}},
     1,
     "",
     0,
     "1 of the version before's"},
    {"old roots without the new ones' word", {{"ab", 2, "ab"}, {"cd", 2, "ab"}}, 1, "", 0, "0 of its own"},
    {"a stolen root below the threshold",
     {{"abc", 2, "ab"}, {"a", 1, "a"}},
     1,
     "",
     0,
     "1 of the version before's"},
    {"a bad step in between",
     {{"ab", 2, "ab"}, {"cd", 2, "cd"}, {"cd", 2, "cd"}},
     1,
     "",
     0,
     "version 2 of the trust"},
    {"an older chain", {{"abc", 2, "ab"}}, 2, "", 0, "rolled back"},
};

static void
a_version_is_believed_where_enough_say_so(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autoptr(GString) texts = g_string_new(NULL), blocks = g_string_new(NULL);
        g_autofree char *old = text_of(MAX(ROWS[i].accepted, 1), "abc", 2, INDEX_KEY);
        g_autoptr(GBytes) text_bytes = NULL, block_bytes = NULL, old_bytes = g_bytes_new(old, strlen(old));
        g_autoptr(SignTrust) accepted = sign_trust_parse_one(old_bytes, "old", NULL);
        g_autoptr(GPtrArray) chain = NULL, signatures = NULL;
        const char *pins[5] = {NULL};
        g_autoptr(GError) error = NULL;
        const SignTrust *adopted, *before = NULL;

        for (unsigned v = 0; v < 3 && ROWS[i].versions[v].roots != NULL; v++) {
            const Version *version = &ROWS[i].versions[v];
            g_autofree char *text = text_of(v + 1, version->roots, version->threshold, INDEX_KEY);

            g_string_append(texts, text);
            append_signatures(blocks, v + 1, text, version->signers);
        }
        for (size_t n = 0; ROWS[i].pinned[n] != '\0'; n++)
            pins[n] = roots[ROWS[i].pinned[n] - 'a'];
        text_bytes = g_bytes_new(texts->str, texts->len);
        block_bytes = g_bytes_new(blocks->str, blocks->len);
        chain = sign_trust_parse(text_bytes, "x", NULL);
        signatures = sign_trust_parse_signatures(block_bytes, "x", NULL);
        assert_true(chain != NULL && signatures != NULL);
        if (ROWS[i].accepted > 0)
            before =
                ROWS[i].accepted <= chain->len ? g_ptr_array_index(chain, ROWS[i].accepted - 1) : accepted;
        adopted = sign_trust_adopt(chain, signatures, keys, before, pins, ROWS[i].threshold, "x", &error);
        if ((adopted != NULL) != (ROWS[i].expect == NULL))
            fail_msg("%s: %s", ROWS[i].what, error != NULL ? error->message : "was adopted");
        if (adopted != NULL)
            assert_ptr_equal(adopted, g_ptr_array_index(chain, chain->len - 1));
        else if (error->code != BASE_ERROR_UNTRUSTED || strstr(error->message, ROWS[i].expect) == NULL)
            fail_msg("%s: unexpected message: %s", ROWS[i].what, error->message);
    }
}

static void
the_same_version_with_another_text_is_an_alarm(void **state G_GNUC_UNUSED)
{
    g_autofree char *one = text_of(1, "ab", 2, INDEX_KEY), *other = text_of(1, "ab", 2, roots[0]);
    g_autoptr(GBytes) one_bytes = g_bytes_new(one, strlen(one)),
                      other_bytes = g_bytes_new(other, strlen(other));
    g_autoptr(SignTrust) accepted = sign_trust_parse_one(one_bytes, "x", NULL);
    g_autoptr(GPtrArray) chain = sign_trust_parse(other_bytes, "x", NULL), signatures = NULL;
    g_autoptr(GString) blocks = g_string_new(NULL);
    g_autoptr(GBytes) block_bytes = NULL;
    g_autoptr(GError) error = NULL;

    append_signatures(blocks, 1, other, "ab");
    block_bytes = g_bytes_new(blocks->str, blocks->len);
    signatures = sign_trust_parse_signatures(block_bytes, "x", NULL);
    assert_null(sign_trust_adopt(chain, signatures, keys, accepted, NULL, 0, "x", &error));
    assert_non_null(strstr(error->message, "another text than the one accepted before"));
}

static void
a_changed_text_is_signed_by_nobody(void **state G_GNUC_UNUSED)
{
    g_autofree char *text = text_of(1, "ab", 2, INDEX_KEY), *changed = text_of(1, "ab", 2, roots[3]);
    g_autoptr(GBytes) bytes = g_bytes_new(changed, strlen(changed)), block_bytes = NULL;
    g_autoptr(SignTrust) trust = sign_trust_parse_one(bytes, "x", NULL);
    g_autoptr(GPtrArray) signatures = NULL, signers = NULL;
    g_autoptr(GString) blocks = g_string_new(NULL);

    append_signatures(blocks, 1, text, "ab");
    block_bytes = g_bytes_new(blocks->str, blocks->len);
    signatures = sign_trust_parse_signatures(block_bytes, "x", NULL);
    signers = sign_trust_signers(trust, signatures, keys, (const char *const *)trust->roots, 9);
    assert_int_equal(signers->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_believed_where_enough_say_so),
        cmocka_unit_test(the_same_version_with_another_text_is_an_alarm),
        cmocka_unit_test(a_changed_text_is_signed_by_nobody),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
