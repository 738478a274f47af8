#include "world.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"

#include <malloc.h>
#include <sqlite3.h>
#include <unistd.h>

static uint64_t random_state, bytes_state;
static int64_t now_ms;

/* The store's largest piece of memory is touched little: from the kernel it comes zeroed, from the
 * heap each start would zero it. */
enum { MMAP_FROM = 1 << 20 };

void world_start(uint64_t seed)
{
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
    random_state = seed * 0x9e3779b97f4a7c15 + 1;
    bytes_state = seed;
    now_ms = 1790000000000;
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed | 1), NULL);
}

/* xorshift64* (Vigna 2014) */
uint64_t world_roll(uint64_t sides)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 0x2545f4914f6cdd1d >> 11) % sides;
}

int64_t world_now_ms(void)
{
    return now_ms;
}

void world_wait(int64_t ms)
{
    now_ms += ms;
}

int64_t clock_wall_ms(void)
{
    return now_ms;
}

int64_t clock_mono_us(void)
{
    return now_ms * 1000;
}

int64_t clock_mono_ms(void)
{
    return now_ms;
}

/* It is written into a file of the directory. */
pid_t getpid(void)
{
    return 12345;
}

/* Of the same seed, but apart: how many of them the store takes decides nothing else. */
void rng_fill(void *memory, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes_state = bytes_state * 6364136223846793005 + 1442695040888963407;
        ((uint8_t *)memory)[i] = (uint8_t)(bytes_state >> 56);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
}

void log_write_bounded(enum log_level level, const char *event, const struct log_field *fields,
                       size_t count)
{
}
