// fuzz: index
// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a repos.d file: every source that comes out has a name and a URI on one line. */
#include "index/index.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) text = g_bytes_new(data, size);
    g_autoptr(GPtrArray) confs = index_conf_parse(text, "fuzz", NULL, NULL);

    for (guint i = 0; confs != NULL && i < confs->len; i++) {
        const IndexConf *conf = g_ptr_array_index(confs, i);

        g_assert_true(*conf->id != '\0' && *conf->uri != '\0');
        g_assert_null(strpbrk(conf->uri, "\n\r"));
    }
    return 0;
}
