#include "store/checksum.h"

#include <endian.h>
#include <string.h>

static const uint64_t MULTIPLIER = 0xc6a4a7935bd1e995;

static uint64_t fold(uint64_t value)
{
    return value ^ value >> 47;
}

static uint64_t load(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size);
    return le64toh(word);
}

/* MurmurHash64A, A. Appleby */
static uint64_t murmur(uint64_t seed, const uint8_t *bytes, size_t size)
{
    uint64_t hash = seed ^ size * MULTIPLIER;
    for (; size >= 8; bytes += 8, size -= 8)
        hash = (hash ^ fold(load(bytes, 8) * MULTIPLIER) * MULTIPLIER) * MULTIPLIER;
    if (size) hash = (hash ^ load(bytes, size)) * MULTIPLIER;
    return fold(fold(hash) * MULTIPLIER);
}

uint64_t checksum_start(struct span table)
{
    return checksum_add(0, CHECKSUM_TEXT, table.ptr, table.len);
}

uint64_t checksum_add(uint64_t checksum, enum checksum_type type, const void *bytes, size_t size)
{
    return murmur(checksum + type, bytes, size);
}

uint64_t checksum_add_i64(uint64_t checksum, int64_t value)
{
    uint64_t word = htole64((uint64_t)value);
    return checksum_add(checksum, CHECKSUM_INTEGER, &word, sizeof word);
}
