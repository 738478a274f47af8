#include "json/write.h"

/* What follows the backslash; 'u' asks for four digits. */
static const char escapes[256] = {
    [0] = 'u',  [1] = 'u',    [2] = 'u',    [3] = 'u',    [4] = 'u',   [5] = 'u',     [6] = 'u',
    [7] = 'u',  ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', [11] = 'u',  ['\f'] = 'f',  ['\r'] = 'r',
    [14] = 'u', [15] = 'u',   [16] = 'u',   [17] = 'u',   [18] = 'u',  [19] = 'u',    [20] = 'u',
    [21] = 'u', [22] = 'u',   [23] = 'u',   [24] = 'u',   [25] = 'u',  [26] = 'u',    [27] = 'u',
    [28] = 'u', [29] = 'u',   [30] = 'u',   [31] = 'u',   ['"'] = '"', ['\\'] = '\\',
};

static void write_escape(struct writer *out, unsigned char byte)
{
    writer_char(out, '\\');
    writer_char(out, escapes[byte]);
    if (escapes[byte] != 'u') return;
    writer_lit(out, "00");
    writer_hex(out, &byte, 1);
}

void json_write_string(struct writer *out, struct span text)
{
    writer_char(out, '"');
    size_t done = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (!escapes[byte]) continue;
        writer_put(out, (struct span){text.ptr + done, i - done});
        write_escape(out, byte);
        done = i + 1;
    }
    writer_put(out, (struct span){text.ptr + done, text.len - done});
    writer_char(out, '"');
}

void json_write_key(struct writer *out, struct span name)
{
    json_write_string(out, name);
    writer_char(out, ':');
}

void json_write_comma(struct writer *out)
{
    if (out->len == 0) return;
    char before = out->base[out->len - 1];
    if (before != '{' && before != '[') writer_char(out, ',');
}

void json_write_text_member(struct writer *out, struct span name, struct span text)
{
    if (!text.ptr) return;
    json_write_comma(out);
    json_write_key(out, name);
    json_write_string(out, text);
}

void json_write_number_member(struct writer *out, struct span name, int64_t number)
{
    json_write_comma(out);
    json_write_key(out, name);
    writer_i64(out, number);
}
