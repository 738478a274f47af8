#pragma once

#include "base/writer.h"

#include <stddef.h>
#include <stdint.h>

/* What holds of the rows of a store at any time: each as a query that counts those that break it.
 */

struct promise {
    const char *text; /* what is wrong when the count is not 0 */
    const char *sql;
};

/* Of every engine, in SQL that all of them take. An engine has more of its own. */
extern const struct promise store_promises[];
extern const size_t store_promises_count;

/* Those of all events, as a table of one column, seq. */
#define PROMISE_SEQUENCES                                                                          \
    "(SELECT seq FROM click UNION ALL SELECT seq FROM conversion UNION ALL SELECT seq FROM"        \
    " server_event UNION ALL SELECT seq FROM impression UNION ALL SELECT seq FROM feedback UNION"  \
    " ALL SELECT seq FROM ad_feedback UNION ALL SELECT seq FROM vote) AS s"

/* A line of what `adtally verify` found, unless `count` is 0. */
void promise_report(struct writer *report, uint64_t *findings, const char *text, int64_t count);
