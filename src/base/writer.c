#include "base/writer.h"

void writer_init(struct writer *writer, void *memory, size_t size)
{
    *writer = (struct writer){.base = memory, .cap = size};
}

void writer_u64(struct writer *writer, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    writer_put(writer, (struct span){digits + sizeof digits - count, count});
}

void writer_i64(struct writer *writer, int64_t value)
{
    if (value < 0) writer_char(writer, '-');
    writer_u64(writer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void writer_hex(struct writer *writer, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    char *out = writer_claim(writer, size * 2);
    if (!out) return;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

struct span writer_text(const struct writer *writer)
{
    return (struct span){writer->base, writer->len};
}
