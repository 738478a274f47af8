#pragma once

#include "http/http.h"

/* llhttp names methods as http.h does: its names step aside. */
#define HTTP_GET LLHTTP_NAME_GET
#define HTTP_HEAD LLHTTP_NAME_HEAD
#define HTTP_POST LLHTTP_NAME_POST
#define HTTP_OPTIONS LLHTTP_NAME_OPTIONS
#include <llhttp.h>
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_OPTIONS

/* The pure half of http: bytes in, a value or the status of a refusal out. No I/O, clock, malloc or
 * log. However the bytes are cut into pieces, the outcome is the same: each refusal is decided by
 * the position of the byte that causes it.
 *
 * llhttp splits a head into method, target and fields. What it is too lenient about, and everything
 * that frames a message (RFC 9112 section 6), is decided here and in check.c; chunk.c reads chunked
 * bodies, since llhttp's framing is more lenient than ours and differs between its releases. */

enum http_parse { HTTP_PARSE_MORE, HTTP_PARSE_DONE, HTTP_PARSE_REFUSED };

struct http_limits {
    uint32_t head_max, target_max, headers_max;
};

struct http_head {
    enum http_method method;
    bool is_1_0;
    struct span target, path, query, host; /* as in struct http_request */
    struct http_header *headers;           /* limits.headers_max of them, the caller's */
    uint32_t headers_count;
    bool is_chunked;
    uint64_t content_length; /* 0 when there is none */
    bool says_close;         /* Connection: close, or HTTP/1.0 without keep-alive */
    bool expects_continue;
};

struct http_head_parser {
    llhttp_t llhttp;
    const struct http_limits *limits;
    const char *base; /* first byte of the head; the same at every feed */

    /* base  skip     line_start   scanned        known bytes
     *  |CRLF|GET / ...|Host: exam|ple\r         |
     * Everything before `scanned` was checked here and given to llhttp. */
    size_t skip, line_start, scanned;
    bool has_request_line, has_target, has_all;
    struct http_header *headers; /* the caller's */
    struct http_head head;       /* complete after HTTP_PARSE_DONE */
    size_t head_len;             /* after HTTP_PARSE_DONE, with the blank line */
    int refusal;                 /* status, after HTTP_PARSE_REFUSED */
};

void http_head_init(struct http_head_parser *parser, const struct http_limits *limits,
                    struct http_header *headers);

/* `base` holds the `len` bytes that arrived since the request began, those fed before included.
 * The spans of the result point into it. Refusals: 400, 414, 417, 431. */
enum http_parse http_head_feed(struct http_head_parser *parser, const char *base, size_t len);

/* Decides framing, host, target form and persistence from the fields: 0, or the refusal's status.
 * `head` has method, is_1_0, target and headers. */
int http_head_check(struct http_head *head);

bool http_is_token_char(char c);

struct http_chunked {
    uint8_t state;
    uint8_t size_digits;
    uint64_t size_left;  /* of the chunk */
    uint64_t body_left;  /* what the body may still have */
    uint32_t extra_left; /* bytes of extensions and trailers still accepted */
    int refusal;         /* status, after HTTP_PARSE_REFUSED: 400, 413, 431 */
};

void http_chunked_init(struct http_chunked *chunked, uint64_t body_max, uint32_t extra_max);

/* Reads *in_len bytes of framing and data and moves the data to `out`, which may be `in` or lie
 * before it. *in_len becomes what was read: all of it, unless the body ended or was refused;
 * *out_len what was written. Never writes more than body_max in all. 413: the body would be larger
 * than that. */
enum http_parse http_chunked_feed(struct http_chunked *chunked, const char *in, size_t *in_len,
                                  char *out, size_t *out_len);
