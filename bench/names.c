#include "names.h"

#include <string.h>

uint64_t names_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

int64_t names_ms(uint64_t n, int64_t epoch_ms)
{
    return epoch_ms + (int64_t)(n / NAMES_PER_MS);
}

struct uuid names_uuid(enum names_kind kind, uint64_t n, int64_t epoch_ms)
{
    uint64_t state = n * 2 + (kind == NAMES_BID);
    uint64_t words[2] = {names_random(&state), names_random(&state)};
    uint8_t random[10];
    memcpy(random, words, sizeof random);
    return uuid_make_v7(names_ms(n, epoch_ms), random);
}

void names_number(char out[NAMES_NUMBER_LEN], uint64_t n)
{
    for (int i = NAMES_NUMBER_LEN; i-- > 0; n /= 10)
        out[i] = (char)('0' + n % 10);
}
