#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the fuzz targets share. A target gives the bytes of its input to the real code and holds the
 * result against a second opinion: another parser, written for the test in another way, or what has
 * to be true of every result. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Ends the process, which makes the input a finding. */
_Noreturn void found(const char *what);

static inline void require(bool condition, const char *what)
{
    if (!condition) found(what);
}

/* Whether this run is asked (ADTALLY_FUZZ_LIE=name) to get a wrong result of that name from the
 * code under test. Every oracle has such a lie at its door, and test_fuzz.py shows that it is
 * caught. */
bool lies(const char *name);

/* Takes choices from the front of an input, zeros when there is nothing left. */
struct choices {
    const uint8_t *at;
    size_t left;
};

uint8_t choose_byte(struct choices *from);
uint32_t choose_below(struct choices *from, uint32_t bound); /* bound <= 65536 */
struct span choose_text(struct choices *from, size_t len_max);
struct span choose_rest(struct choices *from);

/* The text in a block of its own, where a read past its end is seen; to be freed. */
struct span own_copy(struct span text);
void own_free(struct span text);

/* The same ended by a NUL, for the parsers of the C library; what holds a NUL is cut there. */
char *c_text(struct span text);
