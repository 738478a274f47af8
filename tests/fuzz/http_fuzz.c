#include "http/parse.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* libFuzzer target of the pure half of http, with read boundaries of the fuzzer's choice: whatever
 * they are, the outcome is the one of the whole input, and what is accepted is what the rules say.
 *
 *   meson setup build-fuzz && ninja -C build-fuzz src/http/libllhttp.a
 *   clang -g -O1 -std=c17 -D_GNU_SOURCE -DLLHTTP_STRICT_MODE=1 -fsanitize=fuzzer,address,undefined
 * \
 *     -fno-sanitize-recover=all -Isrc -isystem /usr/include/llhttp -isystem
 * /usr/share/include/llhttp \
 *     tests/fuzz/http_fuzz.c src/http/head.c src/http/check.c src/http/chunk.c src/base/span.c \
 *     src/base/assert.c build-fuzz/src/http/libllhttp.a -o build-fuzz/http_fuzz
 *   build-fuzz/http_fuzz -max_len=2048 -max_total_time=180
 *
 * Input: a byte that chooses head or chunked body, a byte that seeds the cuts, the bytes sent. */

enum { HEAD_MAX = 1024, TARGET_MAX = 256, HEADERS_MAX = 16, BODY_MAX = 512, EXTRA_MAX = 64 };

static const struct http_limits limits = {HEAD_MAX, TARGET_MAX, HEADERS_MAX};

static size_t next_cut(size_t at, size_t len, uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    size_t step = 1 + (*seed >> 16) % 40;
    return len - at < step ? len : at + step;
}

struct head_outcome {
    enum http_parse parse;
    struct http_head_parser parser;
    struct http_header headers[HEADERS_MAX];
};

static void feed_head(struct head_outcome *outcome, const char *raw, size_t len, uint32_t seed)
{
    http_head_init(&outcome->parser, &limits, outcome->headers);
    outcome->parse = HTTP_PARSE_MORE;
    for (size_t at = 0; at < len && outcome->parse == HTTP_PARSE_MORE;) {
        at = seed ? next_cut(at, len, &seed) : len;
        outcome->parse = http_head_feed(&outcome->parser, raw, at);
    }
}

static bool is_inside(struct span text, const char *raw, size_t len)
{
    return text.ptr >= raw && text.ptr + text.len <= raw + len;
}

static void check_same(struct span a, struct span b)
{
    ASSERT(a.ptr == b.ptr && a.len == b.len);
}

static void check_accepted(const struct head_outcome *outcome, const char *raw)
{
    const struct http_head_parser *parser = &outcome->parser;
    const struct http_head *head = &parser->head;
    size_t len = parser->head_len;
    ASSERT(len <= HEAD_MAX && memcmp(raw + len - 4, "\r\n\r\n", 4) == 0);
    ASSERT(is_inside(head->target, raw, len) && head->target.len <= TARGET_MAX);
    ASSERT(head->path.len > 0 && head->headers_count <= HEADERS_MAX);
    ASSERT(head->host.len > 0 || head->is_1_0);
    ASSERT(!head->is_chunked || (!head->is_1_0 && head->content_length == 0));
    ASSERT(!memchr(raw, 0, len));
    for (size_t i = 0; i < len; i++) {
        ASSERT(raw[i] != '\n' || raw[i - 1] == '\r');
        ASSERT(raw[i] != '\r' || raw[i + 1] == '\n');
    }
    for (uint32_t i = 0; i < head->headers_count; i++) {
        ASSERT(is_inside(head->headers[i].name, raw, len) && head->headers[i].name.len > 0);
        ASSERT(is_inside(head->headers[i].value, raw, len));
        for (size_t j = 0; j < head->headers[i].name.len; j++)
            ASSERT(http_is_token_char(head->headers[i].name.ptr[j]));
    }
}

static void fuzz_head(const char *raw, size_t len, uint32_t seed)
{
    struct head_outcome whole, cut;
    feed_head(&whole, raw, len, 0);
    feed_head(&cut, raw, len, seed);
    ASSERT(whole.parse == cut.parse);
    ASSERT(whole.parser.refusal == cut.parser.refusal || whole.parse != HTTP_PARSE_REFUSED);
    if (whole.parse != HTTP_PARSE_DONE) return;
    check_accepted(&whole, raw);
    const struct http_head *a = &whole.parser.head, *b = &cut.parser.head;
    ASSERT(whole.parser.head_len == cut.parser.head_len && a->headers_count == b->headers_count);
    check_same(a->target, b->target);
    check_same(a->path, b->path);
    check_same(a->query, b->query);
    check_same(a->host, b->host);
    ASSERT(a->method == b->method && a->is_1_0 == b->is_1_0 && a->is_chunked == b->is_chunked);
    ASSERT(a->content_length == b->content_length && a->says_close == b->says_close);
    for (uint32_t i = 0; i < a->headers_count; i++) {
        check_same(a->headers[i].name, b->headers[i].name);
        check_same(a->headers[i].value, b->headers[i].value);
    }
}

struct body_outcome {
    enum http_parse parse;
    int refusal;
    size_t consumed, body_len;
    char body[BODY_MAX];
};

static void feed_body(struct body_outcome *outcome, const char *raw, size_t len, uint32_t seed)
{
    struct http_chunked chunked;
    char *buffer = malloc(len + 1);
    http_chunked_init(&chunked, BODY_MAX, EXTRA_MAX);
    *outcome = (struct body_outcome){.parse = HTTP_PARSE_MORE};
    for (size_t at = 0; at < len && outcome->parse == HTTP_PARSE_MORE;) {
        at = seed ? next_cut(at, len, &seed) : len;
        size_t in_len = at - outcome->consumed, out_len;
        char *in = buffer + outcome->body_len;
        memcpy(in, raw + outcome->consumed, in_len);
        outcome->parse = http_chunked_feed(&chunked, in, &in_len, in, &out_len);
        outcome->consumed += in_len;
        outcome->body_len += out_len;
        ASSERT(outcome->body_len <= BODY_MAX);
    }
    outcome->refusal = chunked.refusal;
    memcpy(outcome->body, buffer, outcome->body_len);
    free(buffer);
}

static void fuzz_body(const char *raw, size_t len, uint32_t seed)
{
    struct body_outcome whole, cut;
    feed_body(&whole, raw, len, 0);
    feed_body(&cut, raw, len, seed);
    ASSERT(whole.parse == cut.parse && whole.refusal == cut.refusal);
    ASSERT(whole.consumed == cut.consumed && whole.body_len == cut.body_len);
    ASSERT(memcmp(whole.body, cut.body, whole.body_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 2) return 0;
    size_t len = size - 2;
    char *raw = malloc(len ? len : 1); /* its own block: reading past it is seen */
    memcpy(raw, input + 2, len);
    uint32_t seed = 1u + input[1];
    if (input[0] & 1)
        fuzz_body(raw, len, seed);
    else
        fuzz_head(raw, len, seed);
    free(raw);
    return 0;
}
