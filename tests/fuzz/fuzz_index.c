// fuzz: index
// SPDX-License-Identifier: Apache-2.0
/* Any bytes as index text: what is accepted must print, and the print must read back as the same catalogue;
 * and the checks for other clients bear it.
 */
#include "index/index.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) text = g_bytes_new(data, size);
    g_autoptr(Index) index = index_parse(text, "fuzz", NULL, NULL);
    g_autoptr(Index) again = NULL, checked = NULL;
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(GBytes) printed_bytes = NULL;
    g_autofree char *printed = NULL, *reprinted = NULL;
    g_autoptr(GPtrArray) findings = finding_list_new();

    checked = index_check(text, NULL, "fuzz", true, findings);
    if (index == NULL)
        return 0;
    printed = index_print(index, NULL);
    if (printed == NULL) {
        g_assert_cmpuint(index->entries->len, >, INDEX_MAX_PRINT_ENTRIES);
        return 0;
    }
    printed_bytes = g_bytes_new(printed, strlen(printed));
    again = index_parse(printed_bytes, "fuzz", &problems, NULL);
    if (again == NULL) /* one blank per line more made it too large */
        return 0;
    g_assert_cmpuint(problems->len, ==, 0);
    g_assert_cmpuint(again->entries->len, ==, index->entries->len);
    reprinted = index_print(again, NULL);
    g_assert_cmpstr(printed, ==, reprinted);
    return 0;
}
