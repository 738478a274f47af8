#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Many texts looked for at once: the automaton of Aho and Corasick, as a table with a row for each
 * state, so that a byte costs one step however many patterns there are. Letters of ASCII match in
 * either case.
 *
 * The patterns are lines of text: a part of what is searched, "^" in front of what it has to begin
 * with and "$" behind what it has to end with. White space around a line, empty lines and those
 * that begin with "#" are none. */

enum { PATTERNS_TEXT_MAX = 64 * 1024, PATTERN_CHARACTERS_MIN = 2, PATTERN_CHARACTERS_MAX = 128 };

struct patterns {
    const uint32_t *table; /* NULL: nothing matches */
    uint32_t start;
    uint32_t width; /* of a row: how many bytes differ to the patterns */
    uint32_t count; /* of the patterns */
    uint32_t states_max;
    uint8_t columns[256]; /* of the bytes */
};

/* How much memory patterns_build needs for this text, 0 when a line is no pattern: *line is its
 * number. */
size_t patterns_measure(struct patterns *patterns, struct span text, uint32_t *line);

/* With the same text; the memory, aligned for uint32_t, belongs to the patterns from now on. */
void patterns_build(struct patterns *patterns, struct span text, void *memory);

/* Whether any of them is in it. */
bool patterns_match(const struct patterns *patterns, struct span text);
