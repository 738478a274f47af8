#include "json_oracle.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

static struct json_oracle *from_jansson(json_t *value)
{
    return (struct json_oracle *)value;
}

static json_t *to_jansson(const struct json_oracle *value)
{
    return (json_t *)(uintptr_t)value;
}

struct json_oracle *json_oracle_load(const char *text, size_t len,
                                     enum json_oracle_verdict *verdict)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool overflowed = !root && json_error_code(&error) == json_error_numeric_overflow;
    *verdict = root ? ORACLE_ACCEPTED : overflowed ? ORACLE_OVERFLOWED : ORACLE_REFUSED;
    return from_jansson(root);
}

void json_oracle_free(struct json_oracle *root)
{
    json_decref(to_jansson(root));
}

enum json_oracle_type json_oracle_type(const struct json_oracle *value)
{
    switch (json_typeof(to_jansson(value))) {
    case JSON_OBJECT:
        return ORACLE_OBJECT;
    case JSON_ARRAY:
        return ORACLE_ARRAY;
    case JSON_STRING:
        return ORACLE_STRING;
    case JSON_INTEGER:
        return ORACLE_INTEGER;
    case JSON_REAL:
        return ORACLE_REAL;
    case JSON_TRUE:
        return ORACLE_TRUE;
    case JSON_FALSE:
        return ORACLE_FALSE;
    case JSON_NULL:
        break;
    }
    return ORACLE_NULL;
}

long long json_oracle_integer(const struct json_oracle *value)
{
    return json_integer_value(to_jansson(value));
}

double json_oracle_real(const struct json_oracle *value)
{
    return json_real_value(to_jansson(value));
}

bool json_oracle_string_is(const struct json_oracle *value, const char *text, size_t len)
{
    const json_t *string = to_jansson(value);
    return json_string_length(string) == len && memcmp(json_string_value(string), text, len) == 0;
}

const char *json_oracle_text(const struct json_oracle *value, size_t *len)
{
    *len = json_string_length(to_jansson(value));
    return json_string_value(to_jansson(value));
}

size_t json_oracle_count(const struct json_oracle *value)
{
    return json_is_array(to_jansson(value)) ? json_array_size(to_jansson(value))
                                            : json_object_size(to_jansson(value));
}

struct json_oracle *json_oracle_element(const struct json_oracle *array, size_t index)
{
    return from_jansson(json_array_get(to_jansson(array), index));
}

struct json_oracle *json_oracle_member(const struct json_oracle *object, const char *key,
                                       size_t len)
{
    return from_jansson(json_object_getn(to_jansson(object), key, len));
}
