#include "event/uuid.h"

#include <string.h>

static bool stands_before_hyphen(size_t byte)
{
    return byte == 3 || byte == 5 || byte == 7 || byte == 9;
}

struct uuid uuid_make_v7(int64_t unix_ms, const uint8_t random[10])
{
    struct uuid uuid;
    for (int i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)((uint64_t)unix_ms >> (40 - 8 * i));
    memcpy(uuid.bytes + 6, random, 10);
    uuid.bytes[6] = (uint8_t)(0x70 | (uuid.bytes[6] & 0x0f));
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3f));
    return uuid;
}

void uuid_write(char out[UUID_TEXT_LEN], const struct uuid *uuid)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < UUID_SIZE; i++) {
        *out++ = digits[uuid->bytes[i] >> 4];
        *out++ = digits[uuid->bytes[i] & 15];
        if (stands_before_hyphen(i)) *out++ = '-';
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool uuid_read(struct uuid *out, struct span text)
{
    struct uuid uuid;
    if (text.len != UUID_TEXT_LEN) return false;
    const char *at = text.ptr;
    for (size_t i = 0; i < UUID_SIZE; i++) {
        int high = hex_value(*at++);
        int low = hex_value(*at++);
        if (high < 0 || low < 0) return false;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        if (stands_before_hyphen(i) && *at++ != '-') return false;
    }
    *out = uuid;
    return true;
}

int64_t uuid_v7_ms(const struct uuid *uuid)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid->bytes[i];
    return ms;
}
