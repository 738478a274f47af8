#include "unit.h"

#include "http_rows.h"

#include "base/writer.h"
#include "http/parse.h"

#include <stdio.h>
#include <string.h>

/* The pure half of http. Every row is fed whole, byte by byte, cut in two at every position, and
 * cut at random, always with the same outcome, and never reading past what was fed
 * (AddressSanitizer sees that: the rest is poisoned). */

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

static const char *method_name(enum http_method method)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "OPTIONS", "OTHER"};
    return names[method];
}

static void put_span(struct writer *out, struct span text)
{
    writer_char(out, ' ');
    writer_put(out, text.ptr ? text : SPAN("-"));
}

static void describe_head(struct writer *out, const struct http_head_parser *parser, size_t raw_len)
{
    const struct http_head *head = &parser->head;
    writer_put(out, span_of(method_name(head->method)));
    put_span(out, head->path);
    put_span(out, head->query);
    put_span(out, head->host);
    writer_char(out, ' ');
    writer_u64(out, head->headers_count);
    writer_char(out, ' ');
    if (head->is_chunked)
        writer_lit(out, "chunked");
    else if (head->content_length)
        writer_u64(out, head->content_length);
    else
        writer_lit(out, "none");
    writer_put(out, head->says_close ? SPAN(" close") : SPAN(" keep"));
    if (head->expects_continue) writer_lit(out, " continue");
    if (raw_len == parser->head_len) return;
    writer_lit(out, " +");
    writer_u64(out, raw_len - parser->head_len);
}

/* Where the input is cut: `cuts[i]` is the length known at feed i; ends with the whole length. */
typedef void cut_check(const struct http_row *row, const size_t *cuts, size_t count);

static void check_cuts(const struct http_row *row, cut_check *check)
{
    size_t len = row->raw_len, cuts[2048];
    assert_true(len < sizeof cuts / sizeof cuts[0]);
    check(row, &len, 1);
    for (size_t i = 0; i < len; i++)
        cuts[i] = i + 1;
    check(row, cuts, len);
    for (size_t i = 1; i < len; i++)
        check(row, (size_t[]){i, len}, 2);
    for (unsigned seed = 1; seed <= 50; seed++) {
        srand(seed);
        size_t count = 0, at = 0;
        while (at < len) {
            at += 1 + (size_t)rand() % (1 + len / 4);
            cuts[count++] = at < len ? at : len;
        }
        check(row, cuts, count);
    }
}

static void check_outcome(const struct http_row *row, const struct writer *out, size_t cuts_count)
{
    size_t len = strlen(row->outcome);
    if (out->len == len && memcmp(out->base, row->outcome, len) == 0) return;
    fail_msg("in %zu pieces: \"%.*s\", not \"%s\"", cuts_count, (int)out->len, out->base,
             row->outcome);
}

static void check_head(const struct http_row *row, const size_t *cuts, size_t count)
{
    const struct http_limits limits = {HTTP_ROW_HEAD_MAX, HTTP_ROW_TARGET_MAX,
                                       HTTP_ROW_HEADERS_MAX};
    struct http_header headers[HTTP_ROW_HEADERS_MAX];
    struct http_head_parser parser;
    char *raw = malloc(row->raw_len), text[1024];
    memcpy(raw, row->raw, row->raw_len);
    http_head_init(&parser, &limits, headers);
    enum http_parse parse = HTTP_PARSE_MORE;
    for (size_t i = 0; i < count && parse == HTTP_PARSE_MORE; i++) {
        ASAN_POISON_MEMORY_REGION(raw + cuts[i], row->raw_len - cuts[i]);
        parse = http_head_feed(&parser, raw, cuts[i]);
        ASAN_UNPOISON_MEMORY_REGION(raw, row->raw_len);
    }
    struct writer out;
    writer_init(&out, text, sizeof text);
    if (parse == HTTP_PARSE_DONE)
        describe_head(&out, &parser, row->raw_len);
    else if (parse == HTTP_PARSE_MORE)
        writer_lit(&out, "more");
    else
        writer_u64(&out, (uint64_t)parser.refusal);
    check_outcome(row, &out, count);
    free(raw);
}

static void describe_body(struct writer *out, enum http_parse parse,
                          const struct http_chunked *chunked, struct span body, size_t left)
{
    switch (parse) {
    case HTTP_PARSE_MORE:
        writer_lit(out, "more");
        break;
    case HTTP_PARSE_REFUSED:
        writer_u64(out, (uint64_t)chunked->refusal);
        break;
    case HTTP_PARSE_DONE:
        writer_put(out, body);
        if (left == 0) break;
        writer_lit(out, " +");
        writer_u64(out, left);
    }
}

/* In place, as a connection does it: the next bytes are read right behind the body so far. */
static void check_body(const struct http_row *row, const size_t *cuts, size_t count)
{
    struct http_chunked chunked;
    http_chunked_init(&chunked, HTTP_ROW_BODY_MAX, HTTP_ROW_EXTRA_MAX);
    char *buffer = malloc(row->raw_len), text[1024];
    size_t body_len = 0, consumed = 0;
    enum http_parse parse = HTTP_PARSE_MORE;
    for (size_t i = 0; i < count && parse == HTTP_PARSE_MORE; i++) {
        size_t in_len = cuts[i] - consumed, out_len = 0;
        memcpy(buffer + body_len, row->raw + consumed, in_len);
        parse =
            http_chunked_feed(&chunked, buffer + body_len, &in_len, buffer + body_len, &out_len);
        body_len += out_len;
        consumed += in_len;
        assert_true(consumed <= cuts[i] && body_len <= HTTP_ROW_BODY_MAX);
        assert_true(parse != HTTP_PARSE_MORE || consumed == cuts[i]);
    }
    struct writer out;
    writer_init(&out, text, sizeof text);
    describe_body(&out, parse, &chunked, (struct span){buffer, body_len}, row->raw_len - consumed);
    check_outcome(row, &out, count);
    free(buffer);
}

static void head_row(void **state)
{
    check_cuts(*state, check_head);
}

static void body_row(void **state)
{
    check_cuts(*state, check_body);
}

static void values_lose_the_white_space_around_them(void **state)
{
    (void)state;
    const struct http_limits limits = {HTTP_ROW_HEAD_MAX, HTTP_ROW_TARGET_MAX,
                                       HTTP_ROW_HEADERS_MAX};
    struct http_header headers[HTTP_ROW_HEADERS_MAX];
    struct http_head_parser parser;
    struct span raw = SPAN("GET / HTTP/1.1\r\nHost:a\r\nA: \t b c\t \r\nB:\r\nC:  \r\nD:d\r\n\r\n");
    http_head_init(&parser, &limits, headers);
    assert_int_equal(http_head_feed(&parser, raw.ptr, raw.len), HTTP_PARSE_DONE);
    assert_true(span_eq(headers[1].name, SPAN("A")));
    assert_true(span_eq(headers[1].value, SPAN("b c")));
    assert_true(headers[2].value.ptr && headers[2].value.len == 0);
    assert_true(headers[3].value.ptr && headers[3].value.len == 0);
    assert_true(span_eq(headers[4].value, SPAN("d")));
    assert_true(span_eq(parser.head.target, SPAN("/")));
}

/* The check takes eight bytes at a time: each byte at each place of a target of each length. */
static void a_target_is_visible_at_every_place(void **state)
{
    (void)state;
    enum { LEN_MAX = 20 };
    char text[LEN_MAX];
    struct http_header headers[1] = {{SPAN_INIT("Host"), SPAN_INIT("a")}};
    for (size_t len = 2; len <= LEN_MAX; len++)
        for (size_t place = 1; place < len; place++)
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'a', sizeof text);
                text[0] = '/';
                text[place] = (char)byte;
                struct http_head head = {.method = HTTP_GET,
                                         .target = {text, len},
                                         .headers = headers,
                                         .headers_count = 1};
                bool is_visible = byte > ' ' && byte < 0x7f && byte != '#';
                assert_int_equal(http_head_check(&head), is_visible ? 0 : 400);
            }
}

int main(void)
{
    UNIT_ADD_ROWS(http_row_heads, head_row);
    UNIT_ADD_ROWS(http_row_bodies, body_row);
    UNIT_ADD(a_target_is_visible_at_every_place);
    UNIT_ADD(values_lose_the_white_space_around_them);
    return UNIT_RUN_ADDED("http_parse");
}
