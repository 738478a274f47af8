#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a server takes from its machine, here from a seed: this program defines the functions of
 * base/clock.h, base/rng.h and base/log.h itself, so the linker leaves theirs out. */

/* From here on, time stands still but for clock_move. */
void clock_set(int64_t wall_ms);
void clock_move(int64_t ms);      /* both clocks, forwards */
void clock_jump(int64_t wall_ms); /* the wall clock alone, either way */

int64_t clock_true_ms(void);

/* The server's clock alone goes ahead of that: a clock that is broken. */
void clock_lie(int64_t ahead_ms);

void rng_seed(uint64_t seed);
void rng_repeat(bool repeats); /* the same bytes each time: a generator that is broken */

/* The simulation's own dice, which what the server draws does not move. */
void dice_seed(uint64_t seed);
uint64_t dice_roll(void);
uint32_t dice_below(uint32_t bound);
bool dice_in(uint32_t one_in); /* true once in so many times */
