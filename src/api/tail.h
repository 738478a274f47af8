#pragma once

#include "api/api.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* Requests as they are answered, for whoever watches: one JSON object a line.
 *
 *     {"time":"2026-11-21T06:00:00.000Z","method":"POST","route":"/v1/api/conversion","status":200,
 *      "outcome":"recorded","receipt":"0123456789abcdef","partner":"acme","key":"k1",
 *      "client":"198.51.100.0","us":412}
 *
 * `outcome` is a disposition, or "refused" with its `reason`; a duplicate has `duplicate_of`, the
 * receipt of the event that stands. The ad's `publisher`, `campaign` and `advertiser` are there
 * where its token came with the request. No key, token, body or full address is.
 *
 * A watcher that does not take its lines in time loses the newest: they are counted. While nobody
 * watches, a request costs one look at a counter. */

enum { TAIL_WATCHERS_MAX = 32, TAIL_KEPT_MAX = 256 * 1024, TAIL_LINE_MAX = 8 * 1024 };
_Static_assert(
    TAIL_LINE_MAX >= 4 * 6 * LIMIT_ID + 1024,
    "partner, publisher, campaign and advertiser, each byte escaped as six, and the rest");

/* Absent texts match everything. `outcome` may be the reason of a refusal. */
enum tail_field { TAIL_ROUTE, TAIL_OUTCOME, TAIL_PARTNER, TAIL_CAMPAIGN, TAIL_FIELDS_COUNT };
struct tail_filter {
    struct span texts[TAIL_FIELDS_COUNT];
};
struct span tail_field_name(enum tail_field field); /* "route" */

/* What is wrong with a filter: a route or an outcome that there is not. NULL: nothing. */
const char *tail_filter_problem(const struct tail_filter *filter);

struct tail_watcher;

/* Any thread but a loop's. NULL: no memory, too many, or a text is longer than LIMIT_ID. */
struct tail_watcher *tail_open(struct api *api, const struct tail_filter *filter);
void tail_close(struct api *api, struct tail_watcher *watcher);

/* Moves whole lines, each with its "\n", as far as `out` has room; *dropped is how many were lost
 * since the last call. */
void tail_take(struct tail_watcher *watcher, struct writer *out, uint64_t *dropped);
