#include "token/hash.h"

/* Takes the place of hash_fingerprint (the linker's --wrap); it has few values (VALUES_MASK), so
 * that different keys share a fingerprint all the time and only the rows tell them apart. */

uint64_t __real_hash_fingerprint(const uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const void *bytes,
                                 size_t size);
uint64_t __wrap_hash_fingerprint(const uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const void *bytes,
                                 size_t size);

uint64_t __wrap_hash_fingerprint(const uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const void *bytes,
                                 size_t size)
{
    const uint64_t spread = 0x9e3779b97f4a7c15;
    return (__real_hash_fingerprint(key, bytes, size) & VALUES_MASK) * spread;
}
