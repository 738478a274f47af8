#include "unit.h"

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

struct row {
    const char *name;
    const char *raw;
    size_t raw_len;
    const char *outcome;
};

#define RAW(text) (text), sizeof(text) - 1
#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define POST "POST / HTTP/1.1\r\n" H

enum { HEAD_MAX = 512, TARGET_MAX = 100, HEADERS_MAX = 8, BODY_MAX = 16, EXTRA_MAX = 24 };

/* An accepted head reads: method path query host, number of fields, framing, persistence, what is
 * left over. "-" is absent. */
// clang-format off
static const struct row heads[] = {
    {"simple get", RAW("GET /a/b?c=d HTTP/1.1\r\nHost: x.example:80\r\n\r\n"), "GET /a/b c=d x.example:80 1 none keep"},
    {"no query", RAW(GET "\r\n"), "GET / - a 1 none keep"},
    {"empty query", RAW("GET /? HTTP/1.1\r\n" H "\r\n"), "GET /  a 1 none keep"},
    {"question mark in query", RAW("GET /?a?b HTTP/1.1\r\n" H "\r\n"), "GET / a?b a 1 none keep"},
    {"what follows the head is left alone", RAW(GET "\r\nGET \n\0"), "GET / - a 1 none keep +6"},
    {"post with length", RAW(POST "Content-Length: 5\r\n\r\nhello"), "POST / - a 2 5 keep +5"},
    {"length zero", RAW(POST "Content-Length: 0\r\n\r\n"), "POST / - a 2 none keep"},
    {"length with leading zeros", RAW(POST "Content-Length: 007\r\n\r\n"), "POST / - a 2 7 keep"},
    {"length name in any case", RAW(POST "cONTENT-lENGTH:\t 5 \t\r\n\r\n"), "POST / - a 2 5 keep"},
    {"chunked", RAW(POST "Transfer-Encoding: chunked\r\n\r\n"), "POST / - a 2 chunked keep"},
    {"chunked in any case", RAW(POST "TRANSFER-ENCODING: ChunKeD\r\n\r\n"), "POST / - a 2 chunked keep"},
    {"head", RAW("HEAD / HTTP/1.1\r\n" H "\r\n"), "HEAD / - a 1 none keep"},
    {"options asterisk", RAW("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "OPTIONS * - a 1 none keep"},
    {"delete is another method", RAW("DELETE /x HTTP/1.1\r\n" H "\r\n"), "OTHER /x - a 1 none keep"},
    {"patch is another method", RAW("PATCH /x HTTP/1.1\r\n" H "\r\n"), "OTHER /x - a 1 none keep"},
    {"connection close", RAW(GET "Connection: close\r\n\r\n"), "GET / - a 2 none close"},
    {"connection close in a list", RAW(GET "Connection: te , CLOSE\r\n\r\n"), "GET / - a 2 none close"},
    {"connection close wins over keep-alive", RAW(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n"), "GET / - a 3 none close"},
    {"connection closed is not close", RAW(GET "Connection: closed\r\n\r\n"), "GET / - a 2 none keep"},
    {"upgrade is ignored", RAW(GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), "GET / - a 3 none keep"},
    {"h2c upgrade is ignored", RAW(POST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 1\r\n\r\n"), "POST / - a 5 1 keep"},
    {"http 1.0", RAW("GET / HTTP/1.0\r\n\r\n"), "GET / - - 0 none close"},
    {"http 1.0 keep-alive", RAW("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "GET / - - 1 none keep"},
    {"http 1.0 post", RAW("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n"), "POST / - - 1 2 close"},
    {"http 1.0 knows no expect", RAW("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), "POST / - - 2 2 close"},
    {"expect continue", RAW(POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n"), "POST / - a 3 2 keep continue"},
    {"expect something else", RAW(POST "Expect: tea\r\nContent-Length: 2\r\n\r\n"), "417"},
    {"expect continue and more", RAW(POST "Expect: 100-continue\r\nExpect: x\r\n\r\n"), "417"},
    {"expect nothing", RAW(POST "Expect:\r\n\r\n"), "417"},
    {"absolute form", RAW("GET http://b.example:81/p?q HTTP/1.1\r\n" H "\r\n"), "GET /p q b.example:81 1 none keep"},
    {"absolute form, scheme in any case", RAW("GET HttpS://b/p HTTP/1.1\r\n" H "\r\n"), "GET /p - b 1 none keep"},
    {"absolute form without path", RAW("GET http://b HTTP/1.1\r\n" H "\r\n"), "GET / - b 1 none keep"},
    {"absolute form with query only", RAW("GET http://b?q HTTP/1.1\r\n" H "\r\n"), "GET / q b 1 none keep"},
    {"absolute form in http 1.0", RAW("GET http://b/p HTTP/1.0\r\n\r\n"), "GET /p - b 0 none close"},
    {"absolute form of another scheme", RAW("GET ftp://b/p HTTP/1.1\r\n" H "\r\n"), "400"},
    {"absolute form with userinfo", RAW("GET http://u@b/p HTTP/1.1\r\n" H "\r\n"), "400"},
    {"absolute form without host", RAW("GET http:///p HTTP/1.1\r\n" H "\r\n"), "400"},
    {"absolute form still needs host", RAW("GET http://b/p HTTP/1.1\r\n\r\n"), "400"},
    {"authority form", RAW("GET b:80 HTTP/1.1\r\n" H "\r\n"), "400"},
    {"connect", RAW("CONNECT b:80 HTTP/1.1\r\n" H "\r\n"), "400"},
    {"asterisk only for options", RAW("GET * HTTP/1.1\r\n" H "\r\n"), "400"},
    {"asterisk and more", RAW("OPTIONS *x HTTP/1.1\r\n" H "\r\n"), "400"},
    {"relative path", RAW("GET a HTTP/1.1\r\n" H "\r\n"), "400"},
    {"fragment", RAW("GET /a#b HTTP/1.1\r\n" H "\r\n"), "400"},
    {"fragment in query", RAW("GET /a?b#c HTTP/1.1\r\n" H "\r\n"), "400"},
    {"path of two slashes", RAW("GET //b/c HTTP/1.1\r\n" H "\r\n"), "GET //b/c - a 1 none keep"},
    {"colon in path", RAW("GET /http://b HTTP/1.1\r\n" H "\r\n"), "GET /http://b - a 1 none keep"},
    {"header values lose white space around", RAW("GET / HTTP/1.1\r\nHost:a\r\nA: \t b c\t \r\n\r\n"), "GET / - a 2 none keep"},
    {"empty header value", RAW(GET "A:\r\nB: \r\n\r\n"), "GET / - a 3 none keep"},
    {"tab inside a value", RAW(GET "A: b\tc\r\n\r\n"), "GET / - a 2 none keep"},
    {"obs-text in a value", RAW(GET "A: \xc3\xa4\xff\r\n\r\n"), "GET / - a 2 none keep"},
    {"every token character in a name", RAW(GET "!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n"), "GET / - a 2 none keep"},
    {"one empty line before", RAW("\r\n" GET "\r\n"), "GET / - a 1 none keep"},
    {"two empty lines before", RAW("\r\n\r\n" GET "\r\n"), "400"},
    {"line feed before", RAW("\n" GET "\r\n"), "400"},
    {"carriage return before", RAW("\r" GET "\r\n"), "400"},
    {"space before", RAW(" " GET "\r\n"), "400"},
    {"unfinished", RAW("GET / HTTP/1.1\r\nHost: a\r\n"), "more"},
    {"unfinished in the last line", RAW(GET "\r"), "more"},
    {"nothing but an empty line", RAW("\r\n"), "more"},
    {"nothing but a carriage return", RAW("\r"), "more"},

    /* Request line */
    {"unknown method", RAW("BREW / HTTP/1.1\r\n" H "\r\n"), "400"},
    {"lower-case method", RAW("get / HTTP/1.1\r\n" H "\r\n"), "400"},
    {"method with a colon", RAW("GET: / HTTP/1.1\r\n" H "\r\n"), "400"},
    {"empty method", RAW(" / HTTP/1.1\r\n" H "\r\n"), "400"},
    {"no target", RAW("GET HTTP/1.1\r\n" H "\r\n"), "400"},
    {"empty target", RAW("GET  HTTP/1.1\r\n" H "\r\n"), "400"},
    {"two spaces before target", RAW("GET  / HTTP/1.1\r\n" H "\r\n"), "400"},
    {"two spaces after target", RAW("GET /  HTTP/1.1\r\n" H "\r\n"), "400"},
    {"tab before target", RAW("GET\t/ HTTP/1.1\r\n" H "\r\n"), "400"},
    {"tab in target", RAW("GET /\ta HTTP/1.1\r\n" H "\r\n"), "400"},
    {"form feed in target", RAW("GET /\fa HTTP/1.1\r\n" H "\r\n"), "400"},
    {"space in target", RAW("GET /a b HTTP/1.1\r\n" H "\r\n"), "400"},
    {"non-ASCII in target", RAW("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n"), "400"},
    {"DEL in target", RAW("GET /\x7f HTTP/1.1\r\n" H "\r\n"), "400"},
    {"NUL in target", RAW("GET /\0 HTTP/1.1\r\n" H "\r\n"), "400"},
    {"space after version", RAW("GET / HTTP/1.1 \r\n" H "\r\n"), "400"},
    {"no version", RAW("GET /\r\n\r\n"), "400"},
    {"http 0.9 with spaces", RAW("GET / \r\n\r\n"), "400"},
    {"http 0.9", RAW("GET / HTTP/0.9\r\n" H "\r\n"), "400"},
    {"http 1.2", RAW("GET / HTTP/1.2\r\n" H "\r\n"), "400"},
    {"http 2.0", RAW("GET / HTTP/2.0\r\n" H "\r\n"), "400"},
    {"http 1.10", RAW("GET / HTTP/1.10\r\n" H "\r\n"), "400"},
    {"http 11", RAW("GET / HTTP/11\r\n" H "\r\n"), "400"},
    {"http 01.1", RAW("GET / HTTP/01.1\r\n" H "\r\n"), "400"},
    {"lower-case protocol", RAW("GET / http/1.1\r\n" H "\r\n"), "400"},
    {"rtsp", RAW("OPTIONS * RTSP/1.0\r\n\r\n"), "400"},
    {"rtsp method", RAW("DESCRIBE /x HTTP/1.1\r\n" H "\r\n"), "400"},
    {"ice", RAW("SOURCE /x ICE/1.0\r\n\r\n"), "400"},
    {"http 2 preface", RAW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400"},
    {"tls", RAW("\x16\x03\x01\x02\x00\x01\x00"), "400"},

    /* Lines */
    {"bare LF after the request line", RAW("GET / HTTP/1.1\n" H "\r\n"), "400"},
    {"bare LF after a header", RAW("GET / HTTP/1.1\r\nHost: a\n\r\n"), "400"},
    {"bare LF as the blank line", RAW(GET "\n"), "400"},
    {"bare CR after the request line", RAW("GET / HTTP/1.1\r" H "\r\n"), "400"},
    {"bare CR in a value", RAW(GET "A: b\rc\r\n\r\n"), "400"},
    {"bare CR in a name", RAW(GET "A\rB: c\r\n\r\n"), "400"},
    {"bare CR before a colon", RAW(GET "A\r: c\r\n\r\n"), "400"},
    {"CR CR LF", RAW(GET "A: b\r\r\n\r\n"), "400"},
    {"CR CR LF as the blank line", RAW(GET "\r\r\n"), "400"},
    {"CR instead of the blank line", RAW(GET "\rX"), "400"},
    {"obs-fold with space", RAW(GET "A: b\r\n c\r\n\r\n"), "400"},
    {"obs-fold with tab", RAW(GET "A: b\r\n\tc\r\n\r\n"), "400"},
    {"obs-fold of white space only", RAW(GET "A: b\r\n \r\n\r\n"), "400"},
    {"obs-fold before the first header", RAW("GET / HTTP/1.1\r\n " H "\r\n"), "400"},
    {"NUL in a value", RAW(GET "A: b\0c\r\n\r\n"), "400"},
    {"NUL in a name", RAW(GET "A\0B: c\r\n\r\n"), "400"},
    {"DEL in a value", RAW(GET "A: b\x7f" "c\r\n\r\n"), "400"},
    {"ESC in a value", RAW(GET "A: b\x1b[2Jc\r\n\r\n"), "400"},
    {"vertical tab before a value", RAW(GET "A:\vb\r\n\r\n"), "400"},
    {"space before colon", RAW(GET "A : b\r\n\r\n"), "400"},
    {"tab before colon", RAW(GET "A\t: b\r\n\r\n"), "400"},
    {"space before colon of length", RAW(POST "Content-Length : 5\r\n\r\nhello"), "400"},
    {"space before colon of encoding", RAW(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), "400"},
    {"space inside a name", RAW(GET "A B: c\r\n\r\n"), "400"},
    {"empty header name", RAW(GET ": b\r\n\r\n"), "400"},
    {"no colon", RAW(GET "A\r\n\r\n"), "400"},
    {"no colon with space", RAW(GET "A b\r\n\r\n"), "400"},
    {"bracket in a name", RAW(GET "A[1]: b\r\n\r\n"), "400"},
    {"quote in a name", RAW(GET "\"A\": b\r\n\r\n"), "400"},
    {"non-ASCII in a name", RAW(GET "\xc3\xa4: b\r\n\r\n"), "400"},

    /* Host */
    {"no host", RAW("GET / HTTP/1.1\r\nA: b\r\n\r\n"), "400"},
    {"no header at all", RAW("GET / HTTP/1.1\r\n\r\n"), "400"},
    {"host twice", RAW(GET "Host: b\r\n\r\n"), "400"},
    {"host twice, equal", RAW(GET H "\r\n"), "400"},
    {"host twice in http 1.0", RAW("GET / HTTP/1.0\r\n" H H "\r\n"), "400"},
    {"host once in http 1.0", RAW("GET / HTTP/1.0\r\n" H "\r\n"), "GET / - a 1 none close"},
    {"empty host", RAW("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "400"},
    {"host with port only", RAW("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), "400"},
    {"host with empty port", RAW("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), "GET / - a: 1 none keep"},
    {"host with a letter in the port", RAW("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), "400"},
    {"host with a port too large", RAW("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), "400"},
    {"host list", RAW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "400"},
    {"host with path", RAW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "400"},
    {"host with userinfo", RAW("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "400"},
    {"host with a quote", RAW("GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n"), "400"},
    {"host with non-ASCII", RAW("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"), "400"},
    {"host percent-encoded", RAW("GET / HTTP/1.1\r\nHost: a%2Fb\r\n\r\n"), "GET / - a%2Fb 1 none keep"},
    {"host percent-encoded badly", RAW("GET / HTTP/1.1\r\nHost: a%2\r\n\r\n"), "400"},
    {"host of IPv6", RAW("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"), "GET / - [2001:db8::1]:80 1 none keep"},
    {"host of IPv6 without port", RAW("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"), "GET / - [::1] 1 none keep"},
    {"host of IPv6 not closed", RAW("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), "400"},
    {"host of IPv6 and more", RAW("GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"), "400"},
    {"host of IPv6 without brackets", RAW("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"), "400"},

    /* Framing */
    {"length and encoding", RAW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), "400"},
    {"encoding and length", RAW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), "400"},
    {"length zero and encoding", RAW(POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400"},
    {"length twice, different", RAW(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), "400"},
    {"length twice, equal", RAW(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), "400"},
    {"length list", RAW(POST "Content-Length: 5,5\r\n\r\n"), "400"},
    {"length list with space", RAW(POST "Content-Length: 5, 5\r\n\r\n"), "400"},
    {"two numbers in length", RAW(POST "Content-Length: 5 5\r\n\r\n"), "400"},
    {"length with plus", RAW(POST "Content-Length: +5\r\n\r\n"), "400"},
    {"length with minus", RAW(POST "Content-Length: -5\r\n\r\n"), "400"},
    {"length empty", RAW(POST "Content-Length:\r\n\r\n"), "400"},
    {"length of white space", RAW(POST "Content-Length: \t\r\n\r\n"), "400"},
    {"length in hex", RAW(POST "Content-Length: 0x5\r\n\r\n"), "400"},
    {"length with fraction", RAW(POST "Content-Length: 5.0\r\n\r\n"), "400"},
    {"length with letters", RAW(POST "Content-Length: 5abc\r\n\r\n"), "400"},
    {"length with underscore", RAW(POST "Content-Length: 1_0\r\n\r\n"), "400"},
    {"length in other digits", RAW(POST "Content-Length: \xd9\xa5\r\n\r\n"), "400"},
    {"length in quotes", RAW(POST "Content-Length: \"5\"\r\n\r\n"), "400"},
    {"length past 64 bits", RAW(POST "Content-Length: 18446744073709551616\r\n\r\n"), "400"},
    {"length past 63 bits", RAW(POST "Content-Length: 9223372036854775808\r\n\r\n"), "400"},
    {"length huge", RAW(POST "Content-Length: 99999999999999999999999999999999999\r\n\r\n"), "400"},
    {"length large but sane", RAW(POST "Content-Length: 4611686018427387904\r\n\r\n"), "POST / - a 2 4611686018427387904 keep"},
    {"bad length on get", RAW(GET "Content-Length: x\r\n\r\n"), "400"},
    {"encoding twice", RAW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), "400"},
    {"encoding chunked chunked", RAW(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), "400"},
    {"encoding gzip chunked", RAW(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), "400"},
    {"encoding chunked gzip", RAW(POST "Transfer-Encoding: chunked, gzip\r\n\r\n"), "400"},
    {"encoding chunked in two fields", RAW(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"), "400"},
    {"encoding identity", RAW(POST "Transfer-Encoding: identity\r\n\r\n"), "400"},
    {"encoding xchunked", RAW(POST "Transfer-Encoding: xchunked\r\n\r\n"), "400"},
    {"encoding chunkedx", RAW(POST "Transfer-Encoding: chunkedx\r\n\r\n"), "400"},
    {"encoding with a comma before", RAW(POST "Transfer-Encoding: ,chunked\r\n\r\n"), "400"},
    {"encoding with a comma behind", RAW(POST "Transfer-Encoding: chunked,\r\n\r\n"), "400"},
    {"encoding with a parameter", RAW(POST "Transfer-Encoding: chunked;q=1\r\n\r\n"), "400"},
    {"encoding in quotes", RAW(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), "400"},
    {"encoding empty", RAW(POST "Transfer-Encoding:\r\n\r\n"), "400"},
    {"encoding with vertical tab", RAW(POST "Transfer-Encoding:\vchunked\r\n\r\n"), "400"},
    {"encoding in http 1.0", RAW("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), "400"},
    {"encoding on get", RAW(GET "Transfer-Encoding: chunked\r\n\r\n"), "GET / - a 2 chunked keep"},

    /* Limits: head 512, target 100, 8 fields */
    {"target as long as may be", RAW("GET /" X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxxxxx HTTP/1.1\r\n" H "\r\n"), "GET /" X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxxxxx - a 1 none keep"},
    {"target one byte longer", RAW("GET /" X100 " HTTP/1.1\r\n" H "\r\n"), "414"},
    {"target without end", RAW("GET /" X100 X100 X100 X100 X100 X100), "414"},
    {"target too long and bad", RAW("GET /" X100 "\x01 HTTP/1.1\r\n" H "\r\n"), "400"},
    {"8 fields", RAW(GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\n\r\n"), "GET / - a 8 none keep"},
    {"9 fields", RAW(GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n"), "431"},
    {"8 fields and a bad one", RAW(GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh\r\n\r\n"), "400"},
    {"9 fields and a bad one", RAW(GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\ni\r\n\r\n"), "431"},
    {"9 fields, the last not ended", RAW(GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh: i\rj"), "400"},
    {"head as long as may be", RAW(GET "a: " X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 "\r\n\r\n"), "GET / - a 2 none keep"},
    {"head one byte longer", RAW(GET "a: " X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 "x\r\n\r\n"), "431"},
    {"head without end", RAW(GET "a: " X100 X100 X100 X100 X100 X100), "431"},
    {"header name without end", RAW(GET X100 X100 X100 X100 X100 X100), "431"},
    {"method without end", RAW(X100 X100 X100 X100 X100 X100), "400"},
    {"a bad byte past the limit", RAW(GET "a: " X100 X100 X100 X100 X100 X100 "\n"), "431"},
};

static const struct row bodies[] = {
    {"one chunk", RAW("5\r\nhello\r\n0\r\n\r\n"), "hello"},
    {"two chunks", RAW("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "hello world"},
    {"chunks of one byte", RAW("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), "abc"},
    {"no data", RAW("0\r\n\r\n"), ""},
    {"what follows is left alone", RAW("1\r\na\r\n0\r\n\r\nGET"), "a +3"},
    {"size in hex", RAW("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789"},
    {"size in lower case", RAW("a\r\n0123456789\r\n0\r\n\r\n"), "0123456789"},
    {"size with leading zeros", RAW("0005\r\nhello\r\n0000\r\n\r\n"), "hello"},
    {"data that looks like framing", RAW("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), "\r\n0\r\n\r\n"},
    {"extension", RAW("5;a\r\nhello\r\n0\r\n\r\n"), "hello"},
    {"extension with value", RAW("5;a=b;c=d\r\nhello\r\n0;e=f\r\n\r\n"), "hello"},
    {"extension quoted", RAW("5;a=\"b;\\\"\r\nhello"), "400"},
    {"extension quoted with escape", RAW("5;a=\"b;\\\"\xe4\"\r\nhello\r\n0\r\n\r\n"), "hello"},
    {"trailer", RAW("1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n"), "a"},
    {"trailer that would frame", RAW("1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n"), "a"},
    {"unfinished size", RAW("5"), "more"},
    {"unfinished data", RAW("5\r\nhell"), "more"},
    {"unfinished end", RAW("5\r\nhello\r\n0\r\n"), "more"},
    {"unfinished end by one byte", RAW("5\r\nhello\r\n0\r\n\r"), "more"},

    {"no size", RAW("\r\nhello"), "400"},
    {"size with plus", RAW("+5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size with minus", RAW("-5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size with 0x", RAW("0x5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size with underscore", RAW("1_0\r\n"), "400"},
    {"size with space before", RAW(" 5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size with space behind", RAW("5 \r\nhello\r\n0\r\n\r\n"), "400"},
    {"size with tab behind", RAW("5\t\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size with letters", RAW("5g\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size line with bare LF", RAW("5\nhello\r\n0\r\n\r\n"), "400"},
    {"size line with bare CR", RAW("5\rhello\r\n0\r\n\r\n"), "400"},
    {"size line with CR CR LF", RAW("5\r\r\nhello\r\n0\r\n\r\n"), "400"},
    {"no CRLF after data", RAW("5\r\nhello0\r\n\r\n"), "400"},
    {"LF after data", RAW("5\r\nhello\n0\r\n\r\n"), "400"},
    {"CR after data", RAW("5\r\nhello\r0\r\n\r\n"), "400"},
    {"other bytes after data", RAW("5\r\nhelloXX0\r\n\r\n"), "400"},
    {"data longer than its size", RAW("4\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size of 17 digits", RAW("00000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size past 64 bits", RAW("10000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size of 64 bits", RAW("FFFFFFFFFFFFFFFF\r\n"), "413"},
    {"size past the limit", RAW("11\r\n"), "413"},
    {"size at the limit", RAW("10\r\n0123456789abcdef\r\n0\r\n\r\n"), "0123456789abcdef"},
    {"sizes past the limit together", RAW("f\r\n0123456789abcde\r\n2\r\n"), "413"},
    {"size past the limit and bad", RAW("11g\r\n"), "400"},
    {"extension without name", RAW("5;\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with space before", RAW("5 ;a\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with space in between", RAW("5; a\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with space behind", RAW("5;a \r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension without value", RAW("5;a=\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with bare LF", RAW("5;a\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with bare LF in quotes", RAW("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with bare CR", RAW("5;a\rb\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with NUL", RAW("5;a=\"\0\"\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with text behind quotes", RAW("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extensions without end", RAW("5;" X100), "400"},
    {"extensions of many chunks", RAW("1;aaaaaaaaa\r\na\r\n1;aaaaaaaaa\r\nb\r\n1;aaaaaaaaa\r\nc"), "400"},
    {"end without blank line", RAW("0\r\nGET / HTTP/1.1\r\n\r\n"), "400"},
    {"end with bare LF", RAW("0\r\n\n"), "400"},
    {"trailer with space before colon", RAW("0\r\nA : b\r\n\r\n"), "400"},
    {"trailer without name", RAW("0\r\n: b\r\n\r\n"), "400"},
    {"trailer without colon", RAW("0\r\nA\r\n\r\n"), "400"},
    {"trailer folded", RAW("0\r\nA: b\r\n c\r\n\r\n"), "400"},
    {"trailer with bare LF", RAW("0\r\nA: b\n\r\n"), "400"},
    {"trailer with bare CR", RAW("0\r\nA: b\rc\r\n\r\n"), "400"},
    {"trailer with NUL", RAW("0\r\nA: \0\r\n\r\n"), "400"},
    {"trailers without end", RAW("0\r\nA: " X100), "431"},
    {"trailers many", RAW("0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"), "431"},
};
// clang-format on

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
typedef void cut_check(const struct row *row, const size_t *cuts, size_t count);

static void check_cuts(const struct row *row, cut_check *check)
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

static void check_outcome(const struct row *row, const struct writer *out, size_t cuts_count)
{
    size_t len = strlen(row->outcome);
    if (out->len == len && memcmp(out->base, row->outcome, len) == 0) return;
    fail_msg("in %zu pieces: \"%.*s\", not \"%s\"", cuts_count, (int)out->len, out->base,
             row->outcome);
}

static void check_head(const struct row *row, const size_t *cuts, size_t count)
{
    const struct http_limits limits = {HEAD_MAX, TARGET_MAX, HEADERS_MAX};
    struct http_header headers[HEADERS_MAX];
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
static void check_body(const struct row *row, const size_t *cuts, size_t count)
{
    struct http_chunked chunked;
    http_chunked_init(&chunked, BODY_MAX, EXTRA_MAX);
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
        assert_true(consumed <= cuts[i] && body_len <= BODY_MAX);
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
    const struct http_limits limits = {HEAD_MAX, TARGET_MAX, HEADERS_MAX};
    struct http_header headers[HEADERS_MAX];
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

int main(void)
{
    UNIT_ADD_ROWS(heads, head_row);
    UNIT_ADD_ROWS(bodies, body_row);
    UNIT_ADD(values_lose_the_white_space_around_them);
    return UNIT_RUN_ADDED("http_parse");
}
