#pragma once

#include <stdint.h>

int64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void); /* for deadlines; unrelated to wall time */
int64_t clock_mono_us(void);
int64_t clock_thread_ms(void); /* of a processor, that the calling thread had */
