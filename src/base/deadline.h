#pragma once

#include <stdint.h>
#include <time.h>

/* On CLOCK_MONOTONIC, `ms` from now: what pthread_cond_timedwait takes. */
struct timespec deadline_after(int64_t ms);
