#include "store_clock.h"

#include "base/clock.h"

#include <time.h>

static int64_t wall_ms, mono_ms;

static void begin(void)
{
    if (!wall_ms) wall_ms = (int64_t)time(NULL) * 1000;
}

void store_clock_reach(int64_t until_ms)
{
    begin();
    if (until_ms <= wall_ms) return;
    mono_ms += until_ms - wall_ms;
    wall_ms = until_ms;
}

void store_clock_set(int64_t to_ms)
{
    wall_ms = to_ms;
}

int64_t clock_wall_ms(void)
{
    begin();
    return wall_ms;
}

int64_t clock_mono_ms(void)
{
    return mono_ms;
}

int64_t clock_mono_us(void)
{
    return mono_ms * 1000;
}
