#include "json_compare.h"

#include "json_oracle.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 512 };

struct comparison {
    const struct json_doc *doc;
    struct arena *arena;
};

static const char *compare_value(const struct comparison *of, uint32_t token,
                                 const struct json_oracle *value);

/* jansson says integer when there is neither fraction nor exponent. */
static const char *compare_number(struct span raw, const struct json_oracle *value)
{
    char text[NUMBER_MAX];
    if (raw.len >= sizeof text) return NULL;
    memcpy(text, raw.ptr, raw.len);
    text[raw.len] = '\0';
    char *end;
    bool equal;
    if (json_oracle_type(value) == ORACLE_INTEGER)
        equal = strtoll(text, &end, 10) == json_oracle_integer(value);
    else if (json_oracle_type(value) == ORACLE_REAL)
        equal = strtod(text, &end) == json_oracle_real(value);
    else
        return "a number is none in the oracle";
    return equal && *end == '\0' ? NULL : "numbers differ";
}

static const char *compare_string(const struct comparison *of, uint32_t token,
                                  const struct json_oracle *value)
{
    arena_reset(of->arena);
    struct span text = json_string(of->doc, token, of->arena);
    if (!text.ptr) return "the arena is too small";
    if (json_oracle_type(value) != ORACLE_STRING) return "a string is none in the oracle";
    if (!json_oracle_string_is(value, text.ptr, text.len)) return "strings differ";
    return json_utf8_valid(text) ? NULL : "a string is not UTF-8";
}

static const char *compare_array(const struct comparison *of, uint32_t array,
                                 const struct json_oracle *value)
{
    if (json_oracle_type(value) != ORACLE_ARRAY) return "an array is none in the oracle";
    const struct json_token *tokens = of->doc->tokens;
    size_t count = 0;
    for (uint32_t at = array + 1; at < tokens[array].end; at = tokens[at].end) {
        if (count == json_oracle_count(value)) return "an array is longer";
        const char *difference = compare_value(of, at, json_oracle_element(value, count++));
        if (difference) return difference;
    }
    return count == json_oracle_count(value) ? NULL : "an array is shorter";
}

static const char *compare_member(const struct comparison *of, uint32_t object, uint32_t key,
                                  const struct json_oracle *value)
{
    arena_reset(of->arena);
    struct span name = json_string(of->doc, key, of->arena);
    if (!name.ptr) return "the arena is too small";
    if (json_member(of->doc, object, name) != key + 1) return "json_member finds another";
    struct json_oracle *member = json_oracle_member(value, name.ptr, name.len);
    return member ? compare_value(of, key + 1, member) : "a key is not in the oracle";
}

static const char *compare_object(const struct comparison *of, uint32_t object,
                                  const struct json_oracle *value)
{
    if (json_oracle_type(value) != ORACLE_OBJECT) return "an object is none in the oracle";
    const struct json_token *tokens = of->doc->tokens;
    size_t count = 0;
    for (uint32_t key = object + 1; key < tokens[object].end; key = tokens[key + 1].end) {
        if (tokens[key].type != JSON_STRING || tokens[key].end != key + 1) return "no key";
        const char *difference = compare_member(of, object, key, value);
        if (difference) return difference;
        count++;
    }
    return count == json_oracle_count(value) ? NULL : "an object has another number of members";
}

/* As deep as the documents, so no deeper than LIMIT_JSON_DEPTH. */
static const char *compare_value(const struct comparison *of, uint32_t token,
                                 const struct json_oracle *value)
{
    struct span raw = json_raw(of->doc, token);
    switch ((enum json_type)of->doc->tokens[token].type) {
    case JSON_NUMBER:
        return compare_number(raw, value);
    case JSON_STRING:
        return compare_string(of, token, value);
    case JSON_ARRAY:
        return compare_array(of, token, value);
    case JSON_OBJECT:
        return compare_object(of, token, value);
    case JSON_NULL:
        return json_oracle_type(value) == ORACLE_NULL && span_eq(raw, SPAN("null")) ? NULL : "null";
    case JSON_TRUE:
        return json_oracle_type(value) == ORACLE_TRUE && span_eq(raw, SPAN("true")) ? NULL : "true";
    case JSON_FALSE:
        break;
    }
    return json_oracle_type(value) == ORACLE_FALSE && span_eq(raw, SPAN("false")) ? NULL : "false";
}

/* The one who says JSON_TOO_DEEP has seen that many open brackets, wherever they stood. */
static bool may_be_too_deep(struct span text)
{
    size_t open = 0;
    for (size_t i = 0; i < text.len; i++)
        open += text.ptr[i] == '[' || text.ptr[i] == '{';
    return open > LIMIT_JSON_DEPTH;
}

/* Where the two may differ: jansson nests to 2048, makes numbers that can overflow, and loses a NUL
 * byte that follows a literal or a number. */
const char *json_compare(struct span text, struct json_token *tokens, struct arena *arena,
                         uint64_t seed, bool *accepted)
{
    struct json_doc doc;
    enum json_error error = json_parse(&doc, text, tokens, (uint32_t)(text.len / 2 + 1), seed);
    *accepted = error == JSON_OK;
    if (error == JSON_TOO_LARGE) return "half the text was not enough";
    if (error == JSON_TOO_DEEP) return may_be_too_deep(text) ? NULL : "too deep without depth";
    if (memchr(text.ptr, '\0', text.len)) return *accepted ? "a NUL byte accepted" : NULL;
    enum json_oracle_verdict verdict;
    struct json_oracle *root = json_oracle_load(text.ptr, text.len, &verdict);
    if (verdict == ORACLE_OVERFLOWED) return NULL;
    if (verdict == ORACLE_REFUSED) return *accepted ? "only we accept" : NULL;
    const struct comparison comparison = {&doc, arena};
    const char *difference =
        *accepted ? compare_value(&comparison, 0, root) : "only the oracle accepts";
    json_oracle_free(root);
    return difference;
}
