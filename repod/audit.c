// SPDX-License-Identifier: Apache-2.0
/* The audit log. */
#include "repod/audit.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

char *
audit_format(const AuditEntry *entry, int64_t now_us)
{
    g_autoptr(Json) json = json_new_object();
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(now_us / G_USEC_PER_SEC);
    g_autofree char *seconds = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
    g_autofree char *time =
        g_strdup_printf("%s.%03dZ", seconds, (int)(now_us % G_USEC_PER_SEC / G_TIME_SPAN_MILLISECOND));
    char peer[PEER_TEXT_MAX];

    peer_print(entry->peer, peer);
    json_set_text(json, "time", time);
    json_set_text(json, "token", entry->token);
    json_set_text(json, "peer", peer);
    json_set_text(json, "repository", entry->repository);
    json_set_text(json, "action", entry->action);
    if (entry->digest != NULL)
        json_set_text(json, "digest", entry->digest);
    if (entry->bytes != 0)
        json_set_number(json, "bytes", (int64_t)entry->bytes);
    if (entry->version != 0)
        json_set_number(json, "version", (int64_t)entry->version);
    json_set_text(json, "result", entry->result);
    return json_print_line(json);
}

void
audit_write(int fd, const AuditEntry *entry)
{
    g_autofree char *line = audit_format(entry, g_get_real_time());
    g_autoptr(GError) error = NULL;

    if (!fd_write_all(fd, line, strlen(line), "audit log", &error))
        fprintf(stderr, "repod: %s: %s", error->message, line);
}
