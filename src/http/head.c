#include "http/parse.h"

#include "base/assert.h"

#include <endian.h>
#include <string.h>

enum { BAD_REQUEST = 400, TARGET_TOO_LONG = 414, HEAD_TOO_LARGE = 431 };

static struct http_head_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

static void extend(struct span *span, const char *at, size_t len)
{
    if (!span->ptr) span->ptr = at;
    span->len += len;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    extend(&parser_of(llhttp)->head.target, at, len);
    return HPE_OK;
}

/* Limits are checked where llhttp calls back at the same byte however the input was cut, which is
 * not so for the span callbacks. */
static int on_url_complete(llhttp_t *llhttp)
{
    struct http_head_parser *parser = parser_of(llhttp);
    parser->has_target = true;
    if (parser->head.target.len <= parser->limits->target_max) return HPE_OK;
    parser->refusal = TARGET_TOO_LONG;
    return HPE_USER;
}

static struct http_header *current_header(struct http_head_parser *parser)
{
    uint32_t at = parser->head.headers_count;
    return at < parser->limits->headers_max ? &parser->headers[at] : NULL;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_header *header = current_header(parser_of(llhttp));
    if (header) extend(&header->name, at, len);
    return HPE_OK;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_header *header = current_header(parser_of(llhttp));
    if (header) extend(&header->value, at, len);
    return HPE_OK;
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct http_head_parser *parser = parser_of(llhttp);
    struct http_header *header = current_header(parser);
    if (!header) {
        parser->refusal = HEAD_TOO_LARGE;
        return HPE_USER;
    }
    if (header->name.len == 0) return HPE_USER;
    if (!header->value.ptr) header->value.ptr = header->name.ptr + header->name.len;
    header->value = span_trim(header->value);
    parser->head.headers_count++;
    if ((header = current_header(parser))) *header = (struct http_header){0};
    return HPE_OK;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->has_all = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
};

void http_head_init(struct http_head_parser *parser, const struct http_limits *limits,
                    struct http_header *headers)
{
    ASSERT(limits->headers_max > 0);
    memset(parser, 0, sizeof *parser);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    parser->limits = limits;
    parser->headers = parser->head.headers = headers;
    headers[0] = (struct http_header){0};
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* Position of the first control character in [at, end), or end; eight bytes at a time. A byte's top
 * bit in `found` is set when it is one; a borrow can only set it wrongly above one that is. */
static size_t find_control(const char *text, size_t at, size_t end)
{
    const uint64_t ones = 0x0101010101010101;
    for (; at + sizeof(uint64_t) <= end; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text + at, sizeof word);
        word = le64toh(word);
        uint64_t del = word ^ ones * 0x7f;
        uint64_t found = ((word - ones * 0x20) | (del - ones)) & ~word & ones * 0x80;
        if (found) return at + (size_t)__builtin_ctzll(found) / 8;
    }
    while (at < end && !is_control((unsigned char)text[at]))
        at++;
    return at;
}

/* The request line without its CRLF: one space, the target, " HTTP/1.0" or " HTTP/1.1". llhttp also
 * takes several spaces, other protocols, and no version at all. */
static bool check_request_line(struct http_head_parser *parser, size_t line_end)
{
    const size_t version_len = sizeof " HTTP/1.1" - 1;
    const char *line = parser->base + parser->skip, *end = parser->base + line_end;
    if ((size_t)(end - line) <= version_len) return false;
    const char *version = end - version_len;
    if (memcmp(version, " HTTP/1.", version_len - 1) != 0) return false;
    if (end[-1] != '0' && end[-1] != '1') return false;
    parser->head.is_1_0 = end[-1] == '0';

    const char *space = memchr(line, ' ', (size_t)(version - line));
    if (!space || memchr(space + 1, ' ', (size_t)(version - space - 1))) return false;
    parser->has_request_line = true;
    return true;
}

enum scan { SCAN_MORE, SCAN_END, SCAN_BAD };

/* `at` is a CR: whether its line may end here. */
static enum scan scan_line_end(struct http_head_parser *parser, size_t at, size_t end)
{
    if (at + 1 == end) return SCAN_MORE;
    if (parser->base[at + 1] != '\n') return SCAN_BAD;
    if (!parser->has_request_line && !check_request_line(parser, at)) return SCAN_BAD;
    bool is_blank = at == parser->line_start;
    parser->scanned = parser->line_start = at + 2;
    return is_blank ? SCAN_END : SCAN_MORE;
}

/* Advances `scanned` over what may stand in a head: lines that end in CRLF, none of them starting
 * with white space (obs-fold), no other control character than a tab. A CR waits for its LF. */
static enum scan scan_head(struct http_head_parser *parser, size_t end)
{
    const char *base = parser->base;
    while (parser->scanned < end) {
        size_t line_start = parser->line_start;
        bool is_first = parser->scanned == line_start;
        if (is_first && (base[line_start] == ' ' || base[line_start] == '\t')) return SCAN_BAD;
        size_t at = find_control(base, parser->scanned, end);
        parser->scanned = at;
        if (at == end) return SCAN_MORE;
        if (base[at] == '\t') {
            parser->scanned++;
            continue;
        }
        if (base[at] != '\r') return SCAN_BAD;
        enum scan scan = scan_line_end(parser, at, end);
        if (scan != SCAN_MORE || parser->scanned == at) return scan;
    }
    return SCAN_MORE;
}

static enum http_parse refuse(struct http_head_parser *parser, int status)
{
    if (!parser->refusal) parser->refusal = status;
    return HTTP_PARSE_REFUSED;
}

/* One CRLF before a request line is ignored (RFC 9112 section 2.2), and no second one. */
static bool skip_empty_line(struct http_head_parser *parser, const char *base, size_t len)
{
    if (parser->skip || base[0] != '\r') return true;
    if (len < 2) return false;
    if (base[1] == '\n') parser->skip = parser->line_start = parser->scanned = 2;
    return true;
}

/* The request line as llhttp and as check_request_line read it must be the same one. */
static bool finish_request_line(struct http_head_parser *parser)
{
    const char *line = parser->base + parser->skip;
    struct http_head *head = &parser->head;
    const char *space = memchr(line, ' ', parser->head_len);
    if (!space || head->target.ptr != space + 1) return false;
    if (memcmp(head->target.ptr + head->target.len, " HTTP/", 6) != 0) return false;
    struct span method = {line, (size_t)(space - line)};
    head->method = span_eq(method, SPAN("GET"))       ? HTTP_GET
                   : span_eq(method, SPAN("POST"))    ? HTTP_POST
                   : span_eq(method, SPAN("HEAD"))    ? HTTP_HEAD
                   : span_eq(method, SPAN("OPTIONS")) ? HTTP_OPTIONS
                                                      : HTTP_OTHER;
    return true;
}

static enum http_parse finish_head(struct http_head_parser *parser)
{
    parser->head_len = parser->scanned;
    if (!parser->has_all || !finish_request_line(parser)) return refuse(parser, BAD_REQUEST);
    int refusal = http_head_check(&parser->head);
    return refusal ? refuse(parser, refusal) : HTTP_PARSE_DONE;
}

enum http_parse http_head_feed(struct http_head_parser *parser, const char *base, size_t len)
{
    ASSERT(!parser->base || parser->base == base);
    parser->base = base;
    if (len == 0 || (parser->scanned == 0 && !skip_empty_line(parser, base, len)))
        return HTTP_PARSE_MORE;

    size_t end = len < parser->limits->head_max ? len : parser->limits->head_max;
    size_t fed = parser->scanned;
    enum scan scan = scan_head(parser, end);
    if (parser->scanned > fed) {
        int error = llhttp_execute(&parser->llhttp, base + fed, parser->scanned - fed);
        if (error && !parser->has_all) return refuse(parser, BAD_REQUEST);
        if (parser->has_all && scan != SCAN_END) return refuse(parser, BAD_REQUEST);
    }
    if (scan == SCAN_END) return finish_head(parser);
    if (scan == SCAN_BAD) return refuse(parser, BAD_REQUEST);
    if (len < parser->limits->head_max) return HTTP_PARSE_MORE;
    return refuse(parser, parser->has_target ? HEAD_TOO_LARGE : TARGET_TOO_LONG);
}
