#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the load generator sends: requests from some sources, mixed by weight. A source is a file:
 *
 *     template  one request, whole, with marks of fixed width in it: {click} and {bid} become ids
 * of the data set (names.h), {k} their number, {n} a number that no other request has lines
 * requests, each for one use: PATH, or PATH, a tab and a JSON body to POST
 *
 * A template's ids are drawn at random, or each is taken once, in an order that jumps about. */

enum { PLAN_SOURCES_MAX = 8, PLAN_REQUEST_MAX = 4096, PLAN_SLOTS_MAX = 8 };

enum plan_draw { PLAN_RANDOM, PLAN_EACH, PLAN_LINES };

struct plan_slot {
    size_t at;
    int mark;
};

struct plan_source {
    enum plan_draw draw;
    uint64_t weight, next, end; /* of EACH and LINES: the next one, and the first too far */
    char *text;
    size_t text_len;
    struct plan_slot slots[PLAN_SLOTS_MAX];
    size_t slots_count;
    const char **lines;
    size_t lines_count;
};

struct plan {
    struct plan_source sources[PLAN_SOURCES_MAX];
    size_t sources_count;
    uint64_t weights, random;
    uint64_t keys;  /* how many ids there are to draw from */
    uint64_t first; /* where {n} begins */
    int64_t epoch_ms;
};

/* `spec`: WEIGHT:random|each|lines:FROM:END:FILE, the part of the numbers or lines to use. False:
 * it is none, or its file cannot be used. */
bool plan_add(struct plan *plan, const char *spec);

/* The next request's length; 0: a source has run out. */
size_t plan_next(struct plan *plan, char out[PLAN_REQUEST_MAX]);
