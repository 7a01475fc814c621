// SPDX-License-Identifier: Apache-2.0
/* JSON values for --json output and state files (the wall around jansson). Text that is not UTF-8 is made
 * valid by g_utf8_make_valid() before it is stored, so that every document is valid JSON. */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct json_t Json;

Json *json_new_object(void);
Json *json_new_array(void);
void json_free(Json *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_free)

/* Setters for an object. A NULL string is stored as null. json_set() and json_append() take ownership of
 * @value. */
void json_set_text(Json *object, const char *key, const char *value);
void json_set_number(Json *object, const char *key, int64_t value);
/* json_set_count: of what is never 0; null where @value is 0 (not known) or more than a JSON number holds here. */
void json_set_count(Json *object, const char *key, uint64_t value);
void json_set_flag(Json *object, const char *key, bool value);
void json_set(Json *object, const char *key, Json *value);
void json_append(Json *array, Json *value);
void json_append_text(Json *array, const char *value);

/** json_print: (transfer full) indented text, keys in the order they were set, with a final newline. */
char *json_print(const Json *json);

/** json_print_line: (transfer full) the same as one line, with its newline. */
char *json_print_line(const Json *json);

/** json_parse: (transfer full) a document of @size bytes, nested at most 2048 deep; @name for messages. */
Json *json_parse(const char *text, size_t size, const char *name, GError **error);

/**
 * json_read: the document in the file @path, of at most @max_bytes. That there is no such file is no error.
 * @out_json: (transfer full): NULL where there is none
 */
bool json_read(const char *path, size_t max_bytes, Json **out_json, GError **error);

/* Getters: borrowed; NULL, @fallback or 0 where @object has no such member of that type. */
const char *json_get_text(const Json *object, const char *key);
int64_t json_get_number(const Json *object, const char *key, int64_t fallback);
bool json_get_flag(const Json *object, const char *key, bool fallback);
const Json *json_get(const Json *object, const char *key);
size_t json_length(const Json *array);
const Json *json_at(const Json *array, size_t index);

/** json_keys: (transfer container) the names in @object in the order of the document, NULL-terminated; borrowed from it.
 * Empty where it is no object. */
const char **json_keys(const Json *object);
