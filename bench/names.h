#pragma once

#include "event/uuid.h"

#include <stdint.h>

/* The ids of what fill.c records, as a rule, so that the load generator can name any of 50 M
 * without a list of them. The n-th of a kind, counted from 0; `epoch_ms` is the data set's. */

enum names_kind { NAMES_CLICK, NAMES_BID };

enum { NAMES_PER_MS = 100, NAMES_NUMBER_LEN = 12 };

int64_t names_ms(uint64_t n, int64_t epoch_ms); /* when the n-th happened */
struct uuid names_uuid(enum names_kind kind, uint64_t n, int64_t epoch_ms);
void names_number(char out[NAMES_NUMBER_LEN], uint64_t n); /* decimal, zeros in front */

uint64_t names_random(uint64_t *state);
