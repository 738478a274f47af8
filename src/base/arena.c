#include "base/arena.h"

#include "base/assert.h"

#include <string.h>

enum { ARENA_ALIGN = 16 };

void arena_init(struct arena *arena, void *memory, size_t size)
{
    ASSERT(memory && ((size_t)memory % ARENA_ALIGN) == 0);
    *arena = (struct arena){.base = memory, .cap = size};
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
}

size_t arena_room(const struct arena *arena)
{
    return arena->cap - arena->used;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena_room(arena)) return NULL;
    void *at = arena->base + arena->used;
    size_t next = (arena->used + size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    arena->used = next > arena->cap ? arena->cap : next;
    return at;
}

struct span arena_copy(struct arena *arena, struct span text)
{
    if (!text.ptr) return SPAN_NONE;
    char *copy = arena_alloc(arena, text.len ? text.len : 1);
    if (!copy) return SPAN_NONE;
    if (text.len) memcpy(copy, text.ptr, text.len);
    return (struct span){copy, text.len};
}
