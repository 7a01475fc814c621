// SPDX-License-Identifier: Apache-2.0
/* Where a job's file may come from, and how large it may be. */
#include "fetch/job.h"

#include "base/cli.h"
#include "net/net.h"

#include <string.h>
#include <sys/statvfs.h>

/* What a published file may have beyond the image's size where the index does not state it: xz adds less than 0.1 %
 * to data that does not shrink, qcow2 about 0.2 % of tables. */
#define SLACK(size) ((size) / 8 + (64u << 20))
/* Where nobody states the image's size, as in simplestreams: the file's digest is known all the same. */
#define MAX_UNSTATED (G_GUINT64_CONSTANT(1) << 40)

void
job_clear(Job *job)
{
    cache_key_clear(&job->key);
}

char **
job_urls(const Job *job, const char *file)
{
    const Source *source = job->catalogue->source;
    unsigned n = 1 + g_strv_length(source->mirrors), from = 0;
    char **urls = g_new0(char *, n + 1);

    for (unsigned i = 1; i < n; i++)
        if (strcmp(source->mirrors[i - 1], job->catalogue->uri) == 0)
            from = i;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (from + i) % n;

        urls[i] = net_url_join(at == 0 ? source->uri : source->mirrors[at - 1], file);
    }
    return urls;
}

uint64_t
job_max_unpacked(const Job *job)
{
    return job->entry->size > 0 ? job->entry->size + SLACK(job->entry->size) : MAX_UNSTATED;
}

bool
job_check_space(const Job *job, uint64_t needed, GError **error)
{
    g_autofree char *images = cache_images_folder(), *needs = NULL, *has = NULL;
    const char *folder = job->folder != NULL ? job->folder : images;
    struct statvfs fs;
    uint64_t available;

    if (statvfs(folder, &fs) < 0)
        return true; /* whoever writes will see */
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (needed <= available)
        return true;
    needs = cli_format_size(needed);
    has = cli_format_size(available);
    return error_set(error, "%s: %s needs at least %s and only %s are free", folder, job->entry->name, needs,
                     has);
}
