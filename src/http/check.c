#include "http/parse.h"

#include <string.h>

/* What RFC 9112 asks of a head once it is split into fields. */

enum { BAD_REQUEST = 400, EXPECTATION_FAILED = 417 };
enum { CONTENT_LENGTH_MAX_SHIFT = 62, PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool http_is_token_char(char c)
{
    return is_digit(c) || is_alpha(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* unreserved and sub-delims of RFC 3986. */
static bool is_name_char(char c)
{
    return is_digit(c) || is_alpha(c) || (c && strchr("-._~!$&'()*+,;=", c));
}

static bool is_reg_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (is_name_char(name.ptr[i])) continue;
        if (name.ptr[i] != '%' || name.len - i < 3) return false;
        if (!is_hex(name.ptr[i + 1]) || !is_hex(name.ptr[i + 2])) return false;
        i += 2;
    }
    return name.len > 0;
}

/* "[" IPv6 or IPvFuture "]", by its characters: nothing here connects to it. */
static bool is_ip_literal(struct span name)
{
    if (name.len < 4 || name.ptr[0] != '[' || name.ptr[name.len - 1] != ']') return false;
    for (size_t i = 1; i < name.len - 1; i++)
        if (!is_hex(name.ptr[i]) && name.ptr[i] != ':' && name.ptr[i] != '.') return false;
    return memchr(name.ptr, ':', name.len) != NULL;
}

static bool is_port(struct span port)
{
    unsigned long long number;
    if (port.len == 0) return true;
    return port.len <= PORT_DIGITS_MAX && span_to_u64(port, PORT_MAX, &number);
}

/* uri-host [":" port], the host not empty (RFC 9110 section 4.2.1). */
static bool is_host(struct span text)
{
    if (text.len == 0) return false;
    const char *bracket = text.ptr[0] == '[' ? memchr(text.ptr, ']', text.len) : NULL;
    size_t from = bracket ? (size_t)(bracket - text.ptr) : 0;
    const char *colon = memchr(text.ptr + from, ':', text.len - from);
    size_t name_len = colon ? (size_t)(colon - text.ptr) : text.len;
    struct span name = {text.ptr, name_len};
    if (colon && !is_port((struct span){colon + 1, text.len - name_len - 1})) return false;
    return bracket ? is_ip_literal(name) : is_reg_name(name);
}

/* Whether one of eight bytes is no visible ASCII, or is a "#". Carries and borrows between bytes
 * only start at one that is, so the answer is exact. */
static bool has_invisible(const char *at)
{
    const uint64_t ones = 0x0101010101010101, highs = ones * 0x80;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t hash = (word ^ ones * '#') - ones;
    return ((word | (word + ones) | (word - ones * '!') | hash) & highs) != 0;
}

static bool is_visible(struct span text)
{
    size_t i = 0;
    for (; text.len - i >= sizeof(uint64_t); i += sizeof(uint64_t))
        if (has_invisible(text.ptr + i)) return false;
    for (; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '#') return false;
    return text.len > 0;
}

static void split_path(struct http_head *head, struct span text)
{
    head->query = text;
    head->path = span_split(&head->query, '?');
    if (head->path.len == 0) head->path = SPAN("/"); /* http://host?query */
}

/* http://authority[/path][?query]; the authority takes the place of Host. */
static bool split_absolute(struct http_head *head)
{
    struct span rest = head->target;
    struct span scheme = span_split(&rest, ':');
    if (!span_eq_nocase(scheme, SPAN("http")) && !span_eq_nocase(scheme, SPAN("https")))
        return false;
    if (!rest.ptr || !span_starts_with(rest, SPAN("//"))) return false;
    rest = (struct span){rest.ptr + 2, rest.len - 2};
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
        len++;
    head->host = (struct span){rest.ptr, len};
    if (!is_host(head->host)) return false;
    split_path(head, (struct span){rest.ptr + len, rest.len - len});
    return true;
}

static bool split_target(struct http_head *head)
{
    if (!is_visible(head->target)) return false;
    if (head->target.ptr[0] == '/') {
        split_path(head, head->target);
        return true;
    }
    if (span_eq(head->target, SPAN("*"))) {
        head->path = head->target;
        return head->method == HTTP_OPTIONS;
    }
    return split_absolute(head);
}

struct seen {
    unsigned hosts, lengths, encodings;
    bool close, keep_alive, continue_100, other_expectation;
};

static void read_connection(struct seen *seen, struct span value)
{
    while (value.ptr) {
        struct span option = span_trim(span_split(&value, ','));
        if (span_eq_nocase(option, SPAN("close"))) seen->close = true;
        if (span_eq_nocase(option, SPAN("keep-alive"))) seen->keep_alive = true;
    }
}

static void read_expect(struct seen *seen, struct span value)
{
    if (span_eq_nocase(value, SPAN("100-continue")))
        seen->continue_100 = true;
    else
        seen->other_expectation = true;
}

static bool read_content_length(struct http_head *head, struct span value)
{
    unsigned long long number;
    if (!span_to_u64(value, 1ull << CONTENT_LENGTH_MAX_SHIFT, &number)) return false;
    head->content_length = number;
    return true;
}

static bool read_encoding(struct http_head *head, struct seen *seen, struct span value)
{
    head->is_chunked = true;
    return seen->encodings++ == 0 && span_eq_nocase(value, SPAN("chunked"));
}

static bool read_host(struct http_head *head, struct seen *seen, struct span value)
{
    head->host = value;
    return seen->hosts++ == 0 && is_host(value);
}

static bool read_header(struct http_head *head, struct seen *seen, const struct http_header *header)
{
    struct span name = header->name, value = header->value;
    switch (name.len) { /* most names are told apart by their length already */
    case sizeof "host" - 1:
        return !span_eq_nocase(name, SPAN("host")) || read_host(head, seen, value);
    case sizeof "expect" - 1:
        if (span_eq_nocase(name, SPAN("expect"))) read_expect(seen, value);
        return true;
    case sizeof "connection" - 1:
        if (span_eq_nocase(name, SPAN("connection"))) read_connection(seen, value);
        return true;
    case sizeof "content-length" - 1:
        return !span_eq_nocase(name, SPAN("content-length")) ||
               (seen->lengths++ == 0 && read_content_length(head, value));
    case sizeof "transfer-encoding" - 1:
        return !span_eq_nocase(name, SPAN("transfer-encoding")) || read_encoding(head, seen, value);
    default:
        return true;
    }
}

int http_head_check(struct http_head *head)
{
    struct seen seen = {0};
    for (uint32_t i = 0; i < head->headers_count; i++)
        if (!read_header(head, &seen, &head->headers[i])) return BAD_REQUEST;
    if (seen.hosts == 0 && !head->is_1_0) return BAD_REQUEST;
    if (seen.encodings && (seen.lengths || head->is_1_0)) return BAD_REQUEST;
    if (!split_target(head)) return BAD_REQUEST;

    head->says_close = seen.close || (head->is_1_0 && !seen.keep_alive);
    if (head->is_1_0) return 0; /* which knows no Expect (RFC 9110 section 10.1.1) */
    if (seen.other_expectation) return EXPECTATION_FAILED;
    head->expects_continue = seen.continue_100;
    return 0;
}
