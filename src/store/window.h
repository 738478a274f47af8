#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The recorded events of the last while by their keys: a sliding log. At most WINDOW_EVENTS_MAX of
 * a publisher's session in any WINDOW_MS (contract section 4, 001), and clicks by who made them. A
 * ring holds the events of all keys together, each linked to the one before it of its key, so
 * memory is bounded by WINDOW_RING_MAX however many keys there are. A full ring lets nothing more
 * through until its oldest has aged.
 *
 * Times must not go back from call to call. */

enum { WINDOW_MS = 60 * 1000, WINDOW_EVENTS_MAX = 30, WINDOW_RING_MAX = 1 << 20 };

struct window;

struct window *window_new(int64_t span_ms); /* how long an event is in it */
void window_free(struct window *window);

/* 0: one more may be recorded. Else the milliseconds after which it may. */
int64_t window_check(struct window *window, uint64_t key, int64_t now_ms);

/* Records one, after window_check let it through; a full ring forgets its oldest. False: out of
 * memory. */
bool window_note(struct window *window, uint64_t key, int64_t now_ms);

/* Records one whatever there is, unless memory is out. True: the key had another one. Sequences
 * grow from call to call. */
bool window_add(struct window *window, uint64_t key, int64_t now_ms, uint64_t sequence);

/* The lowest sequence that window_add was given and still has; UINT64_MAX: there is none. */
uint64_t window_first_sequence(const struct window *window);

/* What was noted since the mark is taken back. */
uint64_t window_mark(const struct window *window);
void window_take_back(struct window *window, uint64_t mark);
