#pragma once

#include <stdint.h>

/* Who clicked last, known to all lanes of a process: a bounded number of visitors, of which the
 * ones that clicked longest ago make room. */

struct pg_visitors;

struct pg_visitors *pg_visitors_new(void); /* NULL: out of memory; its maker uses it */
void pg_visitors_use(struct pg_visitors *visitors);
void pg_visitors_leave(struct pg_visitors *visitors); /* the last user frees it; NULL: nothing */

/* A click of this visitor; when the one before it was, INT64_MIN when none is known. */
int64_t pg_visitors_click(struct pg_visitors *visitors, uint64_t visitor, int64_t time_ms);

/* It was not recorded: as if it had not been, unless another one came since. */
void pg_visitors_take_back(struct pg_visitors *visitors, uint64_t visitor, int64_t time_ms,
                           int64_t before_ms);
