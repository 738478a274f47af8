#include "event/query.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte that `%xx` at the start of `text` stands for, or -1. */
static int escaped_byte(struct span text)
{
    if (text.len < 3 || text.ptr[0] != '%') return -1;
    int high = hex_value(text.ptr[1]);
    int low = hex_value(text.ptr[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Takes one decoded byte. A `%` that begins no escape stands for itself, and *broken is set. */
static char take_decoded(struct span *raw, bool *broken)
{
    int byte = escaped_byte(*raw);
    size_t taken = byte < 0 ? 1 : 3;
    char c = byte < 0 ? raw->ptr[0] : (char)byte;
    if (byte < 0 && c == '%') *broken = true;
    if (byte < 0 && c == '+') c = ' ';
    *raw = (struct span){raw->ptr + taken, raw->len - taken};
    return c;
}

static bool decodes_to(struct span raw, struct span name)
{
    bool broken = false;
    size_t matched = 0;
    for (; raw.len > 0; matched++)
        if (matched >= name.len || take_decoded(&raw, &broken) != name.ptr[matched]) return false;
    return matched == name.len;
}

/* `pair` is `name=value` or `name`; an empty one names nothing. */
static bool has_name(struct span pair, struct span name)
{
    return pair.len > 0 && decodes_to(span_split(&pair, '='), name);
}

static struct span value_of(struct span pair)
{
    span_split(&pair, '=');
    return pair.ptr ? pair : SPAN("");
}

enum query_found query_find(struct span query, struct span name, struct span *raw)
{
    enum query_found found = QUERY_ABSENT;
    while (query.ptr) {
        struct span pair = span_split(&query, '&');
        if (!has_name(pair, name)) continue;
        if (found == QUERY_ONCE) return QUERY_REPEATED;
        found = QUERY_ONCE;
        *raw = value_of(pair);
    }
    return found;
}

bool query_is_plain(struct span raw)
{
    return raw.len == 0 || (!memchr(raw.ptr, '%', raw.len) && !memchr(raw.ptr, '+', raw.len));
}

/* What stands for itself, up to the next escape: nearly all of a value. */
static struct span take_plain(struct span *raw)
{
    struct span plain = {raw->ptr, 0};
    while (plain.len < raw->len && raw->ptr[plain.len] != '%' && raw->ptr[plain.len] != '+')
        plain.len++;
    *raw = (struct span){raw->ptr + plain.len, raw->len - plain.len};
    return plain;
}

bool query_decode(struct writer *out, struct span raw)
{
    bool broken = false;
    size_t before = out->len;
    while (raw.len > 0) {
        struct span plain = take_plain(&raw);
        writer_put(out, plain);
        if (raw.len > 0) writer_char(out, take_decoded(&raw, &broken));
    }
    if (broken) out->len = before;
    return !broken;
}

/* RFC 3986 section 2.3. */
/* clang-format off */
static const bool is_unreserved[256] = {
    ['A'] = true, ['B'] = true, ['C'] = true, ['D'] = true, ['E'] = true, ['F'] = true,
    ['G'] = true, ['H'] = true, ['I'] = true, ['J'] = true, ['K'] = true, ['L'] = true,
    ['M'] = true, ['N'] = true, ['O'] = true, ['P'] = true, ['Q'] = true, ['R'] = true,
    ['S'] = true, ['T'] = true, ['U'] = true, ['V'] = true, ['W'] = true, ['X'] = true,
    ['Y'] = true, ['Z'] = true, ['a'] = true, ['b'] = true, ['c'] = true, ['d'] = true,
    ['e'] = true, ['f'] = true, ['g'] = true, ['h'] = true, ['i'] = true, ['j'] = true,
    ['k'] = true, ['l'] = true, ['m'] = true, ['n'] = true, ['o'] = true, ['p'] = true,
    ['q'] = true, ['r'] = true, ['s'] = true, ['t'] = true, ['u'] = true, ['v'] = true,
    ['w'] = true, ['x'] = true, ['y'] = true, ['z'] = true, ['0'] = true, ['1'] = true,
    ['2'] = true, ['3'] = true, ['4'] = true, ['5'] = true, ['6'] = true, ['7'] = true,
    ['8'] = true, ['9'] = true, ['-'] = true, ['.'] = true, ['_'] = true, ['~'] = true,
};
/* clang-format on */

/* What needs no escape, up to the first character that does: nearly always all of it. */
static struct span take_unreserved(struct span *text)
{
    struct span run = {text->ptr, 0};
    while (run.len < text->len && is_unreserved[(unsigned char)text->ptr[run.len]])
        run.len++;
    *text = (struct span){text->ptr + run.len, text->len - run.len};
    return run;
}

void query_encode(struct writer *out, struct span text)
{
    static const char digits[] = "0123456789ABCDEF";
    while (text.len > 0) {
        writer_put(out, take_unreserved(&text));
        if (text.len == 0) break;
        unsigned char c = (unsigned char)text.ptr[0];
        char escape[] = {'%', digits[c >> 4], digits[c & 15]};
        writer_put(out, (struct span){escape, sizeof escape});
        text = (struct span){text.ptr + 1, text.len - 1};
    }
}

static bool is_replaced(struct span part, const struct query_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_name(part, pairs[i].name)) return true;
    return false;
}

/* The parts of `query` that stay, with the separators between them. */
static void write_kept(struct writer *out, struct span query, const struct query_pair *pairs,
                       size_t count)
{
    bool first = true;
    while (query.ptr) {
        struct span part = span_split(&query, '&');
        if (is_replaced(part, pairs, count)) continue;
        if (!first) writer_char(out, '&');
        writer_put(out, part);
        first = false;
    }
}

/* `start` is where the query begins in `out`: its text may end in anything, a `?` too. */
static void write_pairs(struct writer *out, size_t start, const struct query_pair *pairs,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!pairs[i].value.ptr) continue;
        if (out->len > start && out->base[out->len - 1] != '&') writer_char(out, '&');
        query_encode(out, pairs[i].name);
        writer_char(out, '=');
        query_encode(out, pairs[i].value);
    }
}

static bool adds_any(const struct query_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].value.ptr) return true;
    return false;
}

void query_add(struct writer *out, struct span url, const struct query_pair *pairs, size_t count)
{
    struct span fragment = url;
    struct span query = span_split(&fragment, '#');
    struct span base = span_split(&query, '?');
    writer_put(out, base);
    if (query.ptr || adds_any(pairs, count)) writer_char(out, '?');
    size_t start = out->len;
    write_kept(out, query, pairs, count);
    write_pairs(out, start, pairs, count);
    if (!fragment.ptr) return;
    writer_char(out, '#');
    writer_put(out, fragment);
}
