#include "http/parse.h"

#include "base/assert.h"

#include <string.h>

/* RFC 9112 section 7.1 to the letter: no white space around sizes, extensions or trailer names,
 * every line ends in CRLF. Extensions and trailers are read over.
 *
 *  SIZE ─▶ (EXT_NAME ─▶ EXT_VALUE | EXT_QUOTED)* ─▶ SIZE_LF ─▶ DATA ─▶ DATA_CR ─▶ DATA_LF ─▶ SIZE
 *                                                      └─ size 0 ─▶ LINE ─▶ LAST_LF ─▶ the end
 *                              LINE ─▶ NAME ─▶ VALUE ─▶ VALUE_LF ─▶ LINE (a trailer) */

enum { BAD_REQUEST = 400, BODY_TOO_LARGE = 413, TRAILERS_TOO_LARGE = 431 };
enum { SIZE_DIGITS_MAX = 16 };

enum state {
    SIZE,
    EXT_NAME_START,
    EXT_NAME,
    EXT_VALUE_START,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE,
    NAME,
    VALUE,
    VALUE_LF,
    LAST_LF,
    END,
    BAD,
};

void http_chunked_init(struct http_chunked *chunked, uint64_t body_max, uint32_t extra_max)
{
    *chunked = (struct http_chunked){.state = SIZE, .body_left = body_max, .extra_left = extra_max};
}

static bool is_text(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static enum state refuse(struct http_chunked *chunked, int status)
{
    chunked->refusal = status;
    return BAD;
}

static enum state read_size(struct http_chunked *chunked, char c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (chunked->size_digits++ == SIZE_DIGITS_MAX) return BAD;
        chunked->size_left = chunked->size_left << 4 | (unsigned)digit;
        return SIZE;
    }
    if (chunked->size_digits == 0) return BAD;
    return c == ';' ? EXT_NAME_START : c == '\r' ? SIZE_LF : BAD;
}

/* What follows an extension's name or value. */
static enum state end_extension(char c)
{
    return c == ';' ? EXT_NAME_START : c == '\r' ? SIZE_LF : BAD;
}

static enum state read_extension(struct http_chunked *chunked, char c)
{
    switch ((enum state)chunked->state) {
    case EXT_NAME_START:
        return http_is_token_char(c) ? EXT_NAME : BAD;
    case EXT_NAME:
        if (http_is_token_char(c)) return EXT_NAME;
        return c == '=' ? EXT_VALUE_START : end_extension(c);
    case EXT_VALUE_START:
        return http_is_token_char(c) ? EXT_VALUE : c == '"' ? EXT_QUOTED : BAD;
    case EXT_VALUE:
        return http_is_token_char(c) ? EXT_VALUE : end_extension(c);
    case EXT_QUOTED:
        if (c == '"') return EXT_QUOTED_END;
        if (c == '\\') return EXT_ESCAPED;
        return is_text((unsigned char)c) ? EXT_QUOTED : BAD;
    case EXT_ESCAPED:
        return is_text((unsigned char)c) ? EXT_QUOTED : BAD;
    default:
        return end_extension(c);
    }
}

static enum state end_size_line(struct http_chunked *chunked, char c)
{
    if (c != '\n') return BAD;
    chunked->size_digits = 0;
    if (chunked->size_left == 0) return LINE;
    if (chunked->size_left > chunked->body_left) return refuse(chunked, BODY_TOO_LARGE);
    chunked->body_left -= chunked->size_left;
    return DATA;
}

static enum state read_trailer(struct http_chunked *chunked, char c)
{
    switch ((enum state)chunked->state) {
    case LINE:
        if (c == '\r') return LAST_LF;
        return http_is_token_char(c) ? NAME : BAD;
    case NAME:
        if (http_is_token_char(c)) return NAME;
        return c == ':' ? VALUE : BAD;
    case VALUE:
        if (c == '\r') return VALUE_LF;
        return is_text((unsigned char)c) ? VALUE : BAD;
    case VALUE_LF:
        return c == '\n' ? LINE : BAD;
    default:
        return c == '\n' ? END : BAD;
    }
}

static enum state read_framing(struct http_chunked *chunked, char c)
{
    enum state state = (enum state)chunked->state;
    switch (state) {
    case SIZE:
        return read_size(chunked, c);
    case SIZE_LF:
        return end_size_line(chunked, c);
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return c == '\n' ? SIZE : BAD;
    default:
        break;
    }
    ASSERT(state != DATA && state < END);
    /* The last line's CRLF is framing, not extra. */
    if (c != '\r' && state != LAST_LF && chunked->extra_left-- == 0)
        return refuse(chunked, state < SIZE_LF ? BAD_REQUEST : TRAILERS_TOO_LARGE);
    return state < SIZE_LF ? read_extension(chunked, c) : read_trailer(chunked, c);
}

static size_t move_data(struct http_chunked *chunked, const char *in, size_t in_len, char *out)
{
    size_t len = in_len < chunked->size_left ? in_len : (size_t)chunked->size_left;
    if (out != in) memmove(out, in, len);
    chunked->size_left -= len;
    if (chunked->size_left == 0) chunked->state = DATA_CR;
    return len;
}

enum http_parse http_chunked_feed(struct http_chunked *chunked, const char *in, size_t *in_len,
                                  char *out, size_t *out_len)
{
    size_t at = 0, end = *in_len;
    *out_len = 0;
    while (at < end && chunked->state < END) {
        if (chunked->state == DATA) {
            size_t moved = move_data(chunked, in + at, end - at, out + *out_len);
            at += moved;
            *out_len += moved;
        } else {
            chunked->state = (uint8_t)read_framing(chunked, in[at++]);
        }
    }
    *in_len = at;
    if (chunked->state == END) return HTTP_PARSE_DONE;
    if (chunked->state != BAD) return HTTP_PARSE_MORE;
    if (!chunked->refusal) chunked->refusal = BAD_REQUEST;
    return HTTP_PARSE_REFUSED;
}
