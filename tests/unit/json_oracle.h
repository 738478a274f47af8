#pragma once

/* jansson behind an interface of its own: its header and ours use the same names. */

#include <stdbool.h>
#include <stddef.h>

struct json_oracle; /* a value, borrowed from its root */

enum json_oracle_type {
    ORACLE_NULL,
    ORACLE_FALSE,
    ORACLE_TRUE,
    ORACLE_INTEGER,
    ORACLE_REAL,
    ORACLE_STRING,
    ORACLE_ARRAY,
    ORACLE_OBJECT,
};

enum json_oracle_verdict {
    ORACLE_ACCEPTED,
    ORACLE_REFUSED,
    ORACLE_OVERFLOWED, /* jansson makes numbers and gave up on one: no verdict on the text */
};

/* The root, to be freed; NULL unless the verdict is ORACLE_ACCEPTED. */
struct json_oracle *json_oracle_load(const char *text, size_t len,
                                     enum json_oracle_verdict *verdict);
void json_oracle_free(struct json_oracle *root);

enum json_oracle_type json_oracle_type(const struct json_oracle *value);
long long json_oracle_integer(const struct json_oracle *value);
double json_oracle_real(const struct json_oracle *value);
bool json_oracle_string_is(const struct json_oracle *value, const char *text, size_t len);
const char *json_oracle_text(const struct json_oracle *value, size_t *len); /* NULL: no string */
size_t json_oracle_count(const struct json_oracle *value); /* of an array or object; else 0 */
struct json_oracle *json_oracle_element(const struct json_oracle *array, size_t index);
struct json_oracle *json_oracle_member(const struct json_oracle *object, const char *key,
                                       size_t len); /* NULL: none */
