#include "json/internal.h"

#include "base/limits.h"

struct reader {
    const unsigned char *at;
    const unsigned char *end;
    struct json_doc *doc;
    uint32_t cap;
    uint32_t depth;
    uint64_t seed;
    enum json_error exhausted; /* what running out of tokens means */
    uint32_t open[LIMIT_JSON_DEPTH];
};

static const bool is_space[256] = {[' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true};

/* The next byte that is not white space. 0 also stands for the end of the text: outside strings a
 * 0 is nowhere allowed either. */
static unsigned char peek(struct reader *in)
{
    while (in->at < in->end && is_space[*in->at])
        in->at++;
    return in->at < in->end ? *in->at : 0;
}

static struct json_token *innermost(const struct reader *in)
{
    return &in->doc->tokens[in->open[in->depth - 1]];
}

/* A token from `start` to `end`, complete unless it is a container. */
static enum json_error push(struct reader *in, enum json_type type, const unsigned char *start,
                            const unsigned char *end, bool escaped)
{
    if (in->doc->count == in->cap) return in->exhausted;
    uint32_t index = in->doc->count++;
    in->doc->tokens[index] = (struct json_token){
        .start = (uint32_t)(start - (const unsigned char *)in->doc->text.ptr),
        .len = (uint32_t)(end - start),
        .end = index + 1,
        .type = (uint8_t)type,
        .escaped = escaped,
    };
    return JSON_OK;
}

static enum json_error read_string(struct reader *in)
{
    const unsigned char *start = ++in->at;
    bool escaped;
    enum json_error error = json_scan_string(&in->at, in->end, &escaped);
    if (error) return error;
    return push(in, JSON_STRING, start, in->at++, escaped);
}

/* What follows a literal or a number is checked by whoever reads on. */
static enum json_error read_literal(struct reader *in, struct span word, enum json_type type)
{
    const unsigned char *start = in->at;
    if ((size_t)(in->end - start) < word.len || memcmp(start, word.ptr, word.len) != 0)
        return JSON_SYNTAX;
    in->at += word.len;
    return push(in, type, start, in->at, false);
}

static unsigned char byte_at(const struct reader *in, const unsigned char *at)
{
    return at < in->end ? *at : 0;
}

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Past the digits at `at`; NULL when there is none. */
static const unsigned char *skip_digits(const struct reader *in, const unsigned char *at)
{
    if (!is_digit(byte_at(in, at))) return NULL;
    while (at < in->end && is_digit(*at))
        at++;
    return at;
}

static enum json_error read_number(struct reader *in)
{
    const unsigned char *at = in->at;
    if (*at == '-') at++;
    at = byte_at(in, at) == '0' ? at + 1 : skip_digits(in, at);
    if (!at) return JSON_SYNTAX;
    if (byte_at(in, at) == '.') {
        at = skip_digits(in, at + 1);
        if (!at) return JSON_SYNTAX;
    }
    if ((byte_at(in, at) | 0x20) == 'e') {
        at++;
        if (byte_at(in, at) == '+' || byte_at(in, at) == '-') at++;
        at = skip_digits(in, at);
        if (!at) return JSON_SYNTAX;
    }
    const unsigned char *start = in->at;
    in->at = at;
    return push(in, JSON_NUMBER, start, at, false);
}

/* Until it is closed, the `len` of an object counts its members. */
static enum json_error open_container(struct reader *in, enum json_type type)
{
    if (in->depth == LIMIT_JSON_DEPTH) return JSON_TOO_DEEP;
    in->open[in->depth++] = in->doc->count;
    const unsigned char *start = in->at++;
    return push(in, type, start, start, false);
}

static enum json_error close_container(struct reader *in)
{
    struct json_token *container = innermost(in);
    uint32_t members = container->len;
    in->at++;
    in->depth--;
    container->len =
        (uint32_t)(in->at - (const unsigned char *)in->doc->text.ptr) - container->start;
    container->end = in->doc->count;
    if (container->type == JSON_ARRAY) return JSON_OK;
    enum json_error error =
        json_check_keys(in->doc, in->open[in->depth], members, in->cap, in->seed);
    return error == JSON_TOO_LARGE ? in->exhausted : error;
}

static enum json_error read_value(struct reader *in, unsigned char first)
{
    switch (first) {
    case '{':
        return open_container(in, JSON_OBJECT);
    case '[':
        return open_container(in, JSON_ARRAY);
    case '"':
        return read_string(in);
    case 't':
        return read_literal(in, SPAN("true"), JSON_TRUE);
    case 'f':
        return read_literal(in, SPAN("false"), JSON_FALSE);
    case 'n':
        return read_literal(in, SPAN("null"), JSON_NULL);
    default:
        return first == '-' || is_digit(first) ? read_number(in) : JSON_SYNTAX;
    }
}

static enum json_error read_key(struct reader *in)
{
    innermost(in)->len++;
    enum json_error error = read_string(in);
    if (error) return error;
    if (peek(in) != ':') return JSON_SYNTAX;
    in->at++;
    return JSON_OK;
}

/* One step inside the innermost container: its next element, opened if it is a container itself,
 * or its end. */
static enum json_error read_step(struct reader *in)
{
    const struct json_token *container = innermost(in);
    bool in_object = container->type == JSON_OBJECT;
    bool is_empty = in->open[in->depth - 1] == in->doc->count - 1;
    unsigned char next = peek(in);
    if (next == (in_object ? '}' : ']')) return close_container(in);
    if (!is_empty) {
        if (next != ',') return JSON_SYNTAX;
        in->at++;
        next = peek(in);
    }
    if (in_object) {
        if (next != '"') return JSON_SYNTAX;
        enum json_error error = read_key(in);
        if (error) return error;
        next = peek(in);
    }
    return read_value(in, next);
}

enum json_error json_parse(struct json_doc *doc, struct span text, struct json_token *tokens,
                           uint32_t cap, uint64_t seed)
{
    *doc = (struct json_doc){.text = text, .tokens = tokens};
    if (text.len == 0) return JSON_SYNTAX;
    if (text.len >= UINT32_MAX) return JSON_TOO_LARGE;
    struct reader in = {
        .at = (const unsigned char *)text.ptr,
        .end = (const unsigned char *)text.ptr + text.len,
        .doc = doc,
        .cap = cap,
        .seed = seed,
        /* Past n / 2 + 1 there are containers that no byte is left to close. */
        .exhausted = cap > text.len / 2 ? JSON_SYNTAX : JSON_TOO_LARGE,
    };
    enum json_error error = read_value(&in, peek(&in));
    while (error == JSON_OK && in.depth > 0)
        error = read_step(&in);
    if (error) return error;
    peek(&in);
    return in.at == in.end ? JSON_OK : JSON_SYNTAX;
}

const char *json_error_text(enum json_error error)
{
    static const char *const texts[] = {
        [JSON_OK] = "no error",
        [JSON_SYNTAX] = "not well-formed JSON",
        [JSON_BAD_UTF8] = "a string is not UTF-8",
        [JSON_BAD_SURROGATE] = "a lone surrogate in a string",
        [JSON_NUL] = "U+0000 in a string",
        [JSON_DUPLICATE_KEY] = "duplicate key in an object",
        [JSON_TOO_DEEP] = "nested too deeply",
        [JSON_TOO_LARGE] = "too many values",
    };
    return texts[error];
}

struct span json_raw(const struct json_doc *doc, uint32_t token)
{
    const struct json_token *value = &doc->tokens[token];
    uint32_t quote = value->type == JSON_STRING;
    return (struct span){doc->text.ptr + value->start - quote, (size_t)value->len + 2 * quote};
}

uint32_t json_member(const struct json_doc *doc, uint32_t object, struct span key)
{
    if (doc->tokens[object].type != JSON_OBJECT) return 0;
    uint32_t end = doc->tokens[object].end;
    for (uint32_t at = object + 1; at < end; at = doc->tokens[at + 1].end)
        if (json_string_is(doc, at, key)) return at + 1;
    return 0;
}
