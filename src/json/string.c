#include "json/internal.h"

/* What the byte after a backslash stands for; 0 when it may not follow one. */
static const unsigned char escape_values[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b', ['f'] = '\f',
    ['n'] = '\n', ['r'] = '\r',  ['t'] = '\t', ['u'] = 'u',
};

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

static int32_t hex_value(unsigned char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    unsigned char lower = digit | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The UTF-16 unit that \uXXXX at `at` names, -1 when no such escape stands there. */
static int32_t unit_at(const unsigned char *at, const unsigned char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    int32_t unit = 0;
    for (int i = 2; i < 6; i++) {
        int32_t value = hex_value(at[i]);
        if (value < 0) return -1;
        unit = unit << 4 | value;
    }
    return unit;
}

static enum json_error scan_unicode_escape(const unsigned char **at, const unsigned char *end)
{
    int32_t unit = unit_at(*at, end);
    if (unit < 0) return JSON_SYNTAX;
    if (unit == 0) return JSON_NUL;
    if (is_low_surrogate(unit)) return JSON_BAD_SURROGATE;
    *at += 6;
    if (!is_high_surrogate(unit)) return JSON_OK;
    if (!is_low_surrogate(unit_at(*at, end))) return JSON_BAD_SURROGATE;
    *at += 6;
    return JSON_OK;
}

static enum json_error scan_escape(const unsigned char **at, const unsigned char *end)
{
    if (end - *at < 2 || !escape_values[(*at)[1]]) return JSON_SYNTAX;
    if ((*at)[1] == 'u') return scan_unicode_escape(at, end);
    *at += 2;
    return JSON_OK;
}

static enum json_error scan_utf8(const unsigned char **at, const unsigned char *end)
{
    while (*at < end && **at >= 0x80) {
        size_t len = json_utf8_sequence(*at, (size_t)(end - *at));
        if (len == 0) return JSON_BAD_UTF8;
        *at += len;
    }
    return JSON_OK;
}

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Eight bytes at a time. A byte's top bit in `stop` is set when it is not plain: each difference
 * has it set below its bound, and past 0x80, where the byte itself has it too. A borrow can only
 * set it wrongly above a byte that is right, so the lowest one is the first that is not plain. */
static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (; end - at >= 8; at += 8) {
        uint64_t word = json_load_word(at);
        uint64_t quote = word ^ ones * '"';
        uint64_t backslash = word ^ ones * '\\';
        uint64_t stop = word | (word - ones * 0x20) | (quote - ones) | (backslash - ones);
        stop &= ones * 0x80;
        if (stop) return at + __builtin_ctzll(stop) / 8;
    }
    while (at < end && is_plain(*at))
        at++;
    return at;
}

enum json_error json_scan_string(const unsigned char **at, const unsigned char *end, bool *escaped)
{
    enum json_error error = JSON_OK;
    *escaped = false;
    while (error == JSON_OK) {
        *at = skip_plain(*at, end);
        if (*at == end) return JSON_SYNTAX;
        if (**at == '"') return JSON_OK;
        if (**at == '\\') {
            *escaped = true;
            error = scan_escape(at, end);
        } else if (**at >= 0x80) {
            error = scan_utf8(at, end);
        } else {
            error = **at ? JSON_SYNTAX : JSON_NUL;
        }
    }
    return error;
}

static unsigned char encode_utf8(uint32_t point, unsigned char out[4])
{
    if (point < 0x80) {
        out[0] = (unsigned char)point;
        return 1;
    }
    unsigned char len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    static const unsigned char leads[] = {[2] = 0xc0, [3] = 0xe0, [4] = 0xf0};
    out[0] = (unsigned char)(leads[len] | point);
    return len;
}

/* Moves *at past an escape that scan_escape accepted; the bytes it stands for, and their number. */
static unsigned char resolve_escape(const unsigned char **at, const unsigned char *end,
                                    unsigned char out[4])
{
    int32_t unit = unit_at(*at, end);
    if (unit < 0) {
        out[0] = escape_values[(*at)[1]];
        *at += 2;
        return 1;
    }
    *at += 6;
    if (!is_high_surrogate(unit)) return encode_utf8((uint32_t)unit, out);
    int32_t low = unit_at(*at, end);
    *at += 6;
    return encode_utf8((uint32_t)(0x10000 + (unit - 0xd800) * 0x400 + (low - 0xdc00)), out);
}

static size_t unescape_to(unsigned char *out, const unsigned char *at, size_t len)
{
    const unsigned char *end = at + len;
    unsigned char *to = out;
    while (at < end) {
        const unsigned char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape ? escape : end) - at);
        memcpy(to, at, run);
        to += run;
        at += run;
        if (escape) {
            unsigned char bytes[4];
            unsigned char count = resolve_escape(&at, end, bytes);
            memcpy(to, bytes, count);
            to += count;
        }
    }
    return (size_t)(to - out);
}

struct span json_string(const struct json_doc *doc, uint32_t token, struct arena *arena)
{
    const struct json_token *string = &doc->tokens[token];
    if (string->type != JSON_STRING) return SPAN_NONE;
    const char *text = doc->text.ptr + string->start;
    if (!string->escaped) return (struct span){text, string->len};
    if (arena_room(arena) < string->len) return SPAN_NONE;
    char *out = arena->base + arena->used;
    size_t len = unescape_to((unsigned char *)out, (const unsigned char *)text, string->len);
    arena_alloc(arena, len);
    return (struct span){out, len};
}

struct json_unescaper json_unescape(const struct json_doc *doc, uint32_t token)
{
    const unsigned char *at = (const unsigned char *)doc->text.ptr + doc->tokens[token].start;
    return (struct json_unescaper){.at = at, .end = at + doc->tokens[token].len};
}

int json_next_byte(struct json_unescaper *from)
{
    if (from->next < from->count) return from->ready[from->next++];
    if (from->at == from->end) return -1;
    if (*from->at != '\\') return *from->at++;
    from->count = resolve_escape(&from->at, from->end, from->ready);
    from->next = 1;
    return from->ready[0];
}

bool json_string_is(const struct json_doc *doc, uint32_t token, struct span text)
{
    const struct json_token *string = &doc->tokens[token];
    if (!string->escaped)
        return span_eq((struct span){doc->text.ptr + string->start, string->len}, text);
    struct json_unescaper from = json_unescape(doc, token);
    for (size_t i = 0; i < text.len; i++)
        if (json_next_byte(&from) != (unsigned char)text.ptr[i]) return false;
    return json_next_byte(&from) < 0;
}

bool json_strings_equal(const struct json_doc *doc, uint32_t a, uint32_t b)
{
    if (doc->tokens[a].escaped && !doc->tokens[b].escaped) return json_strings_equal(doc, b, a);
    const struct json_token *plain = &doc->tokens[a];
    if (!plain->escaped)
        return json_string_is(doc, b, (struct span){doc->text.ptr + plain->start, plain->len});
    struct json_unescaper from_a = json_unescape(doc, a);
    struct json_unescaper from_b = json_unescape(doc, b);
    for (;;) {
        int byte = json_next_byte(&from_a);
        if (byte != json_next_byte(&from_b)) return false;
        if (byte < 0) return true;
    }
}
