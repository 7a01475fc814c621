// SPDX-License-Identifier: Apache-2.0
/* JSON values (jansson). */
#include "base/json.h"

#include "base/file.h"

#include <jansson.h>

static json_t *
text_value(const char *value)
{
    json_t *text = value != NULL ? json_string(value) : json_null();
    g_autofree char *valid = NULL;

    if (text != NULL)
        return text;
    valid = g_utf8_make_valid(value, -1);
    return json_string(valid);
}

Json *
json_new_object(void)
{
    return json_object();
}

Json *
json_new_array(void)
{
    return json_array();
}

void
json_free(Json *json)
{
    json_decref(json);
}

void
json_set_text(Json *object, const char *key, const char *value)
{
    json_object_set_new(object, key, text_value(value));
}

void
json_set_number(Json *object, const char *key, int64_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

void
json_set_count(Json *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key,
                        value != 0 && value <= INT64_MAX ? json_integer((json_int_t)value) : json_null());
}

void
json_set_flag(Json *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

void
json_set(Json *object, const char *key, Json *value)
{
    json_object_set_new(object, key, value);
}

void
json_append(Json *array, Json *value)
{
    json_array_append_new(array, value);
}

void
json_append_text(Json *array, const char *value)
{
    json_array_append_new(array, text_value(value));
}

static char *
print(const Json *json, size_t flags)
{
    char *raw = json_dumps(json, flags | JSON_ENCODE_ANY);
    char *text = g_strconcat(raw, "\n", NULL);

    free(raw);
    return text;
}

char *
json_print(const Json *json)
{
    return print(json, JSON_INDENT(2));
}

char *
json_print_line(const Json *json)
{
    return print(json, JSON_COMPACT);
}

Json *
json_parse(const char *text, size_t size, const char *name, GError **error)
{
    json_error_t where;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);

    if (json == NULL)
        error_set(error, "%s:%d: %s", name, where.line, where.text);
    return json;
}

bool
json_read(const char *path, size_t max_bytes, Json **out_json, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GBytes) bytes = file_read(path, max_bytes, &local);
    Json *json;

    *out_json = NULL;
    if (bytes == NULL && g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    json = json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    if (json == NULL)
        return false;
    *out_json = json;
    return true;
}

const char *
json_get_text(const Json *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t
json_get_number(const Json *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool
json_get_flag(const Json *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const Json *
json_get(const Json *object, const char *key)
{
    return json_object_get(object, key);
}

size_t
json_length(const Json *array)
{
    return json_array_size(array);
}

const Json *
json_at(const Json *array, size_t index)
{
    return json_array_get(array, index);
}

const char **
json_keys(const Json *object)
{
    const char **keys = g_new0(const char *, json_object_size(object) + 1), **at = keys;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value) *at++ = key;
    return keys;
}
