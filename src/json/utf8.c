#include "json/internal.h"

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

static size_t three_byte_sequence(const unsigned char *at)
{
    if (!is_continuation(at[1]) || !is_continuation(at[2])) return 0;
    unsigned high = (at[0] & 0x0fu) << 2 | (at[1] & 0x3fu) >> 4; /* code point / 1024 */
    bool overlong = high < 2;
    bool surrogate = high == 0xd800 >> 10 || high == 0xdc00 >> 10;
    return overlong ? 0 : surrogate ? 0 : 3;
}

static size_t four_byte_sequence(const unsigned char *at)
{
    if (!is_continuation(at[1]) || !is_continuation(at[2]) || !is_continuation(at[3])) return 0;
    unsigned plane = (at[0] & 0x07u) << 2 | (at[1] & 0x3fu) >> 4;
    return plane >= 1 && plane <= 16 ? 4 : 0;
}

size_t json_utf8_sequence(const unsigned char *at, size_t room)
{
    unsigned char lead = at[0];
    if (lead < 0x80) return 1;
    if (lead < 0xc2) return 0; /* a continuation, or the lead of an overlong form */
    if (lead < 0xe0) return room >= 2 && is_continuation(at[1]) ? 2 : 0;
    if (lead < 0xf0) return room >= 3 ? three_byte_sequence(at) : 0;
    if (lead < 0xf8) return room >= 4 ? four_byte_sequence(at) : 0;
    return 0;
}

/* Eight bytes: nearly all of nearly every text. */
static bool is_ascii(const unsigned char *at)
{
    return (json_load_word(at) & UINT64_C(0x8080808080808080)) == 0;
}

bool json_utf8_valid(struct span text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t at = 0;
    while (at < text.len) {
        if (text.len - at >= sizeof(uint64_t) && is_ascii(bytes + at)) {
            at += sizeof(uint64_t);
            continue;
        }
        size_t len = json_utf8_sequence(bytes + at, text.len - at);
        if (len == 0) return false;
        at += len;
    }
    return true;
}

size_t json_characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += !is_continuation((unsigned char)text.ptr[i]);
    return count;
}
