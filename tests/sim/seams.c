#include "seams.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"

#include <string.h>

static struct {
    int64_t wall_ms, mono_ms, ahead_ms;
    uint64_t random, dice;
    bool repeats;
} machine;

void clock_set(int64_t wall_ms)
{
    machine.wall_ms = wall_ms;
    machine.mono_ms = 1000000;
    machine.ahead_ms = 0;
}

void clock_move(int64_t ms)
{
    machine.wall_ms += ms;
    machine.mono_ms += ms;
}

void clock_jump(int64_t wall_ms)
{
    machine.wall_ms += wall_ms;
}

void clock_lie(int64_t ahead_ms)
{
    machine.ahead_ms = ahead_ms;
}

int64_t clock_true_ms(void)
{
    return machine.wall_ms;
}

int64_t clock_wall_ms(void)
{
    return machine.wall_ms + machine.ahead_ms;
}

int64_t clock_mono_ms(void)
{
    return machine.mono_ms;
}

int64_t clock_mono_us(void)
{
    return machine.mono_ms * 1000;
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void rng_seed(uint64_t seed)
{
    machine.random = seed;
    machine.repeats = false;
}

void rng_repeat(bool repeats)
{
    machine.repeats = repeats;
}

void rng_fill(void *memory, size_t size)
{
    uint64_t state = machine.random;
    for (char *at = memory; size > 0;) {
        uint64_t random = next(&state);
        size_t part = size < sizeof random ? size : sizeof random;
        memcpy(at, &random, part);
        at += part;
        size -= part;
    }
    if (!machine.repeats) machine.random = state;
}

/* Faults are the simulation's daily bread: their log lines would bury its own. */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
}

void log_write_bounded(enum log_level level, const char *event, const struct log_field *fields,
                       size_t count)
{
}

void log_tell_left_out(bool is_end) {}

void dice_seed(uint64_t seed)
{
    machine.dice = seed;
}

uint64_t dice_roll(void)
{
    return next(&machine.dice);
}

uint32_t dice_below(uint32_t bound)
{
    return (uint32_t)(dice_roll() % bound);
}

bool dice_in(uint32_t one_in)
{
    return dice_below(one_in) == 0;
}
