#include "store/window.h"

#include "store/index.h"

#include <stdlib.h>

struct entry {
    int64_t at_ms;
    uint64_t key;
    uint64_t previous; /* number of the event before it of the same key, 0: none */
    uint64_t sequence; /* of window_add */
};

/* Events are numbered from 1 and never again; number n stands at ring[n % WINDOW_RING_MAX]. Those
 * of [oldest, next) are younger than the window. */
struct window {
    int64_t span_ms;
    struct index latest; /* key -> number of its latest event; its floor is `oldest` */
    uint64_t oldest, next;
    struct entry ring[WINDOW_RING_MAX];
};

struct window *window_new(int64_t span_ms)
{
    struct window *window = calloc(1, sizeof *window); /* touched only as far as it is used */
    if (!window) return NULL;
    window->span_ms = span_ms;
    index_init(&window->latest, 1);
    window->oldest = window->next = 1;
    return window;
}

void window_free(struct window *window)
{
    if (!window) return;
    index_fini(&window->latest);
    free(window);
}

static struct entry *entry_of(struct window *window, uint64_t number)
{
    return &window->ring[number % WINDOW_RING_MAX];
}

/* Overwrites the oldest of a full ring. */
static bool put(struct window *window, const struct entry *entry)
{
    struct index_key key = {{entry->key}};
    uint64_t number = window->next, previous = entry->previous;
    if (previous)
        index_replace(&window->latest, &key, INDEX_VALUE(previous, 0), INDEX_VALUE(number, 0));
    else if (!index_add(&window->latest, &key, INDEX_VALUE(number, 0)))
        return false;
    *entry_of(window, number) = *entry;
    window->next++;
    return true;
}

static void make_room(struct window *window)
{
    if (window->next - window->oldest == WINDOW_RING_MAX) window->latest.floor = ++window->oldest;
}

static void forget_old(struct window *window, int64_t now_ms)
{
    while (window->oldest < window->next &&
           entry_of(window, window->oldest)->at_ms <= now_ms - window->span_ms)
        window->oldest++;
    window->latest.floor = window->oldest;
}

static uint64_t latest_of(const struct window *window, uint64_t key)
{
    struct index_key index_key = {{key}};
    struct index_cursor cursor;
    return INDEX_SEQUENCE(index_first(&window->latest, &index_key, &cursor));
}

int64_t window_check(struct window *window, uint64_t key, int64_t now_ms)
{
    forget_old(window, now_ms);
    uint64_t number = latest_of(window, key);
    for (int count = 0; number >= window->oldest; number = entry_of(window, number)->previous)
        if (++count == WINDOW_EVENTS_MAX)
            return entry_of(window, number)->at_ms + window->span_ms - now_ms;
    bool is_full = window->next - window->oldest == WINDOW_RING_MAX;
    return is_full ? entry_of(window, window->oldest)->at_ms + window->span_ms - now_ms : 0;
}

bool window_note(struct window *window, uint64_t key, int64_t now_ms)
{
    make_room(window);
    return put(window, &(struct entry){now_ms, key, latest_of(window, key), 0});
}

bool window_add(struct window *window, uint64_t key, int64_t now_ms, uint64_t sequence)
{
    forget_old(window, now_ms);
    make_room(window);
    uint64_t previous = latest_of(window, key);
    put(window, &(struct entry){now_ms, key, previous, sequence});
    return previous != 0;
}

uint64_t window_first_sequence(const struct window *window)
{
    if (window->oldest == window->next) return UINT64_MAX;
    return window->ring[window->oldest % WINDOW_RING_MAX].sequence;
}

uint64_t window_mark(const struct window *window)
{
    return window->next;
}

void window_take_back(struct window *window, uint64_t mark)
{
    while (window->next > mark) {
        uint64_t number = --window->next;
        const struct entry *entry = entry_of(window, number);
        struct index_key key = {{entry->key}};
        if (entry->previous)
            index_replace(&window->latest, &key, INDEX_VALUE(number, 0),
                          INDEX_VALUE(entry->previous, 0));
        else
            index_remove(&window->latest, &key, INDEX_VALUE(number, 0));
    }
    if (window->oldest > window->next) window->oldest = window->next;
}
