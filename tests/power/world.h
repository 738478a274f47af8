#pragma once

#include <stdint.h>

/* What the program puts in the place of base/clock, base/rng and base/log: time, randomness and
 * silence that a seed decides. */

void world_start(uint64_t seed); /* also SQLite's own randomness */
uint64_t world_roll(uint64_t sides);
int64_t world_now_ms(void);
void world_wait(int64_t ms);
