#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Appends text to a fixed buffer that the caller owns. Overflow is sticky: what no longer fits is
 * dropped whole, `overflow` is set, and the caller checks once, at the end. */
struct writer {
    char *base;
    size_t cap;
    size_t len;
    bool overflow;
};

void writer_init(struct writer *writer, void *memory, size_t size);
void writer_u64(struct writer *writer, uint64_t value);
void writer_i64(struct writer *writer, int64_t value);
void writer_hex(struct writer *writer, const void *bytes, size_t size); /* lower case */

/* Room for `size` bytes to be filled by the caller, or NULL (and overflow). */
static inline char *writer_claim(struct writer *writer, size_t size)
{
    if (writer->overflow || size > writer->cap - writer->len) {
        writer->overflow = true;
        return NULL;
    }
    char *at = writer->base + writer->len;
    writer->len += size;
    return at;
}

static inline void writer_put(struct writer *writer, struct span text)
{
    char *at = writer_claim(writer, text.len);
    if (at && text.len) memcpy(at, text.ptr, text.len);
}

static inline void writer_char(struct writer *writer, char c)
{
    char *at = writer_claim(writer, 1);
    if (at) *at = c;
}

struct span writer_text(const struct writer *writer);

#define writer_lit(writer, literal) writer_put((writer), SPAN(literal))
