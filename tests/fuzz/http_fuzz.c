#include "http/parse.h"

#include "base/assert.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* The pure half of http, with read boundaries of the fuzzer's choice. Whatever they are, the
 * outcome is that of the whole input; what is accepted is what a second, simple reader of lines
 * finds in it, and a plain request is never refused.
 *
 * Input: a byte that chooses head (even) or chunked body (odd), how many cuts there are (16 at
 * most) and a byte for each, then the bytes sent. The cuts are gone through again and again. */

enum { HEAD_MAX = 1024, TARGET_MAX = 256, HEADERS_MAX = 16, BODY_MAX = 512, EXTRA_MAX = 64 };
enum { CUTS_MAX = 16 };

static const struct http_limits limits = {HEAD_MAX, TARGET_MAX, HEADERS_MAX};

/* Where reads end: after 1 to 256 bytes each. Without cuts, all is read at once. */
struct cuts {
    struct span steps;
    size_t next;
};

static size_t next_cut(struct cuts *cuts, size_t at, size_t len)
{
    if (cuts->steps.len == 0) return len;
    size_t step = 1 + (size_t)(unsigned char)cuts->steps.ptr[cuts->next++ % cuts->steps.len];
    return len - at < step ? len : at + step;
}

/* -- heads ---------------------------------------------------------------------------------- */

struct head_outcome {
    enum http_parse parse;
    struct http_head_parser parser;
    struct http_header headers[HEADERS_MAX];
};

static void feed_head(struct head_outcome *outcome, struct span raw, struct cuts cuts)
{
    http_head_init(&outcome->parser, &limits, outcome->headers);
    outcome->parse = HTTP_PARSE_MORE;
    for (size_t at = 0; at < raw.len && outcome->parse == HTTP_PARSE_MORE;) {
        at = next_cut(&cuts, at, raw.len);
        outcome->parse = http_head_feed(&outcome->parser, raw.ptr, at);
    }
}

static bool is_inside(struct span text, struct span raw)
{
    return text.ptr >= raw.ptr && text.ptr + text.len <= raw.ptr + raw.len;
}

static void check_bounds(const struct http_head *head, struct span raw)
{
    require(raw.len <= HEAD_MAX && memcmp(raw.ptr + raw.len - 4, "\r\n\r\n", 4) == 0,
            "a head without an end");
    require(is_inside(head->target, raw) && head->target.len <= TARGET_MAX, "the target");
    require(head->path.len > 0 && head->headers_count <= HEADERS_MAX, "the path");
    require(!head->is_chunked || (!head->is_1_0 && head->content_length == 0), "the framing");
    for (size_t i = 0; i < raw.len; i++) {
        require(raw.ptr[i] != '\0', "a NUL");
        require(raw.ptr[i] != '\n' || raw.ptr[i - 1] == '\r', "a bare LF");
        require(raw.ptr[i] != '\r' || raw.ptr[i + 1] == '\n', "a bare CR");
    }
}

/* What the second reader makes of a head. */
struct reading {
    unsigned hosts, lengths, encodings;
    unsigned long long length;
    struct span host;
};

/* The part before the next CRLF. */
static struct span take_line(struct span *rest)
{
    const char *end = memmem(rest->ptr, rest->len, "\r\n", 2);
    require(end != NULL, "a head that ends within a line");
    struct span line = {rest->ptr, (size_t)(end - rest->ptr)};
    *rest = (struct span){end + 2, rest->len - line.len - 2};
    return line;
}

static bool is_named(struct span name, const char *text)
{
    return name.len == strlen(text) && strncasecmp(name.ptr, text, name.len) == 0;
}

static void note_header(struct reading *reading, struct span name, struct span value)
{
    if (is_named(name, "host")) {
        reading->hosts++;
        reading->host = value;
    } else if (is_named(name, "transfer-encoding")) {
        reading->encodings++;
        require(is_named(value, "chunked"), "another coding is accepted");
    } else if (is_named(name, "content-length")) {
        char digits[32] = "";
        reading->lengths++;
        require(value.len > 0 && strspn(value.ptr, "0123456789") >= value.len, "a bad length");
        memcpy(digits, value.ptr + (value.len > 20 ? value.len - 20 : 0),
               value.len > 20 ? 20 : value.len);
        reading->length = strtoull(digits, NULL, 10);
    }
}

static void check_request_line(const struct http_head *head, struct span line)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "OPTIONS"};
    struct span method = span_split(&line, ' '), target = span_split(&line, ' ');
    enum http_method expected = HTTP_OTHER;
    for (unsigned i = 0; i < 4; i++)
        if (span_eq(method, span_of(methods[i]))) expected = (enum http_method)i;
    require(head->method == expected, "another method");
    require(target.ptr == head->target.ptr && target.len == head->target.len, "another target");
    require(span_eq(line, head->is_1_0 ? SPAN("HTTP/1.0") : SPAN("HTTP/1.1")), "another version");
}

static void check_header(const struct http_header *header, struct span line)
{
    struct span value = line, name = span_split(&value, ':');
    value = span_trim(value);
    require(name.len > 0 && span_eq(header->name, name), "another header");
    require(span_eq(header->value, value), "another value");
    for (size_t i = 0; i < name.len; i++)
        require(http_is_token_char(name.ptr[i]), "no token as a header's name");
}

static void check_reading(const struct http_head *head, const struct reading *reading)
{
    require(reading->hosts == 1 || (reading->hosts == 0 && head->is_1_0), "not one Host");
    require(reading->lengths <= 1 && reading->encodings <= 1, "repeated framing");
    require(!reading->lengths || !reading->encodings, "two framings");
    require(head->is_chunked == (reading->encodings == 1), "chunked or not");
    require(head->content_length == reading->length, "another length");
    if (head->target.ptr[0] == '/') require(span_eq(head->host, reading->host), "another host");
}

static void check_accepted(const struct head_outcome *outcome, struct span raw)
{
    const struct http_head *head = &outcome->parser.head;
    struct reading reading = {0};
    raw.len = outcome->parser.head_len;
    check_bounds(head, raw);
    struct span rest = raw;
    if (rest.ptr[0] == '\r') take_line(&rest);
    check_request_line(head, take_line(&rest));
    uint32_t count = 0;
    for (struct span line; (line = take_line(&rest)).len > 0; count++) {
        require(count < head->headers_count, "a header is missing");
        check_header(&head->headers[count], line);
        note_header(&reading, head->headers[count].name, head->headers[count].value);
    }
    require(rest.len == 0 && count == head->headers_count, "headers from nowhere");
    check_reading(head, &reading);
}

/* GET or POST /letters HTTP/1.1, Host: letters and X-letters: letters, nothing else. */
static bool is_plain_request(struct span raw)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct span rest = raw;
    unsigned lines = 0, hosts = 0;
    if (raw.len < 4 || raw.len > HEAD_MAX || memchr(raw.ptr, 0, raw.len)) return false;
    if (memcmp(raw.ptr + raw.len - 4, "\r\n\r\n", 4) != 0) return false;
    for (; memmem(rest.ptr, rest.len, "\r\n", 2); lines++) {
        struct span line = take_line(&rest);
        if (line.len == 0) break;
        size_t skip = lines == 0 ? (span_starts_with(line, SPAN("GET /"))    ? 5
                                    : span_starts_with(line, SPAN("POST /")) ? 6
                                                                             : 0)
                                 : (span_starts_with(line, SPAN("Host: ")) ? 6
                                    : span_starts_with(line, SPAN("X: "))  ? 3
                                                                           : 0);
        size_t run = skip ? strspn(line.ptr + skip, letters) : 0;
        hosts += lines > 0 && skip == 6;
        struct span end = {line.ptr + skip + run, line.len - skip - run};
        if (!skip || !run || run > TARGET_MAX - 2) return false;
        if (!span_eq(end, lines == 0 ? SPAN(" HTTP/1.1") : SPAN(""))) return false;
    }
    return lines >= 2 && lines <= HEADERS_MAX && hosts == 1 && rest.len == 0;
}

static void check_same(struct span a, struct span b)
{
    require(a.ptr == b.ptr && a.len == b.len, "cuts move a span");
}

static void check_same_heads(const struct head_outcome *whole, const struct head_outcome *cut)
{
    const struct http_head *a = &whole->parser.head, *b = &cut->parser.head;
    require(whole->parser.head_len == cut->parser.head_len, "cuts change the length");
    require(a->headers_count == b->headers_count, "cuts change the headers");
    check_same(a->target, b->target);
    check_same(a->path, b->path);
    check_same(a->query, b->query);
    check_same(a->host, b->host);
    require(a->method == b->method && a->is_1_0 == b->is_1_0 && a->is_chunked == b->is_chunked &&
                a->content_length == b->content_length && a->says_close == b->says_close &&
                a->expects_continue == b->expects_continue,
            "cuts change the meaning");
    for (uint32_t i = 0; i < a->headers_count; i++) {
        check_same(a->headers[i].name, b->headers[i].name);
        check_same(a->headers[i].value, b->headers[i].value);
    }
}

static void tell_lies(struct head_outcome *outcome)
{
    struct http_head *head = &outcome->parser.head;
    if (lies("refusal")) outcome->parse = HTTP_PARSE_REFUSED;
    if (outcome->parse != HTTP_PARSE_DONE) return;
    if (lies("length")) head->content_length++;
    if (lies("header") && head->headers_count > 0) head->headers[0].value.len++;
    if (lies("host")) head->host.len--;
    if (lies("method")) head->method = HTTP_OPTIONS;
}

static void fuzz_head(struct span raw, struct cuts cuts)
{
    struct head_outcome whole, cut;
    feed_head(&whole, raw, (struct cuts){0});
    feed_head(&cut, raw, cuts);
    if (lies("cut") && cuts.steps.len) cut.parse = HTTP_PARSE_MORE;
    require(whole.parse == cut.parse, "cuts change the verdict");
    require(whole.parser.refusal == cut.parser.refusal || whole.parse != HTTP_PARSE_REFUSED,
            "cuts change the refusal");
    if (whole.parse == HTTP_PARSE_DONE) check_same_heads(&whole, &cut);
    tell_lies(&whole);
    if (whole.parse == HTTP_PARSE_DONE)
        check_accepted(&whole, raw);
    else
        require(!is_plain_request(raw), "a plain request is refused");
}

/* -- chunked bodies ------------------------------------------------------------------------- */

struct body_outcome {
    enum http_parse parse;
    int refusal;
    size_t consumed, body_len;
    char body[BODY_MAX];
};

/* In place, as a connection does it: each read is appended to what is decoded so far. */
static void feed_body(struct body_outcome *outcome, struct span raw, struct cuts cuts)
{
    struct http_chunked chunked;
    char *buffer = malloc(raw.len + 1);
    http_chunked_init(&chunked, BODY_MAX, EXTRA_MAX);
    *outcome = (struct body_outcome){.parse = HTTP_PARSE_MORE};
    for (size_t at = 0; at < raw.len && outcome->parse == HTTP_PARSE_MORE;) {
        at = next_cut(&cuts, at, raw.len);
        size_t in_len = at - outcome->consumed, out_len;
        char *in = buffer + outcome->body_len;
        memcpy(in, raw.ptr + outcome->consumed, in_len);
        outcome->parse = http_chunked_feed(&chunked, in, &in_len, in, &out_len);
        outcome->consumed += in_len;
        outcome->body_len += out_len;
        require(outcome->body_len <= BODY_MAX, "a body past its limit");
    }
    outcome->refusal = chunked.refusal;
    memcpy(outcome->body, buffer, outcome->body_len);
    free(buffer);
}

/* The body of an accepted input by its lines: a size, so many bytes, CRLF; trailers to a blank. */
static void check_decoded(const struct body_outcome *outcome, struct span raw)
{
    char body[BODY_MAX];
    size_t body_len = 0;
    struct span rest = {raw.ptr, outcome->consumed};
    for (;;) {
        char *end;
        struct span line = take_line(&rest);
        size_t size = strtoul(line.ptr, &end, 16);
        require(end > line.ptr && (end == line.ptr + line.len || *end == ';'), "a bad size");
        if (size == 0) break;
        require(size <= rest.len && body_len + size <= BODY_MAX, "a chunk past the end");
        memcpy(body + body_len, rest.ptr, size);
        body_len += size;
        rest = (struct span){rest.ptr + size, rest.len - size};
        require(take_line(&rest).len == 0, "a chunk without its end");
    }
    while (take_line(&rest).len > 0)
        ;
    require(rest.len == 0, "the end is not where the blank line is");
    require(outcome->body_len == body_len && memcmp(outcome->body, body, body_len) == 0,
            "another body");
}

static void fuzz_body(struct span raw, struct cuts cuts)
{
    struct body_outcome whole, cut;
    feed_body(&whole, raw, (struct cuts){0});
    feed_body(&cut, raw, cuts);
    if (lies("body cut") && cuts.steps.len) cut.consumed++;
    require(whole.parse == cut.parse && whole.refusal == cut.refusal, "cuts change the verdict");
    require(whole.consumed == cut.consumed && whole.body_len == cut.body_len &&
                memcmp(whole.body, cut.body, whole.body_len) == 0,
            "cuts change the body");
    if (lies("body") && whole.body_len > 0) whole.body[0] ^= 1;
    if (whole.parse == HTTP_PARSE_DONE) check_decoded(&whole, raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct choices from = {bytes, size};
    bool is_body = choose_byte(&from) & 1;
    struct cuts cuts = {choose_text(&from, CUTS_MAX), 0};
    struct span raw = own_copy(choose_rest(&from));
    if (is_body)
        fuzz_body(raw, cuts);
    else
        fuzz_head(raw, cuts);
    own_free(raw);
    return 0;
}
