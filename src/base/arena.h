#pragma once

#include "base/span.h"

#include <stddef.h>

/* Bump allocation from memory that the caller owns; everything is released at once by reset.
 * Not thread-safe. */
struct arena {
    char *base;
    size_t cap;
    size_t used;
};

void arena_init(struct arena *arena, void *memory, size_t size);
void arena_reset(struct arena *arena);

/* 16-byte aligned, not zeroed; NULL when the arena is full. */
void *arena_alloc(struct arena *arena, size_t size);

/* What is left, unaligned, to be written to and then claimed with arena_alloc of what was used. */
size_t arena_room(const struct arena *arena);

/* A copy of `text` in the arena; absent when the arena is full (or text is absent). */
struct span arena_copy(struct arena *arena, struct span text);
