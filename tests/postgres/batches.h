#pragma once

#include "base.h"

#include "store/engine.h"

/* What the tests of batches share: lanes over a database of the test's own, and an op of each kind
 * as the API would make it. */

static const int64_t DAY_MS = 86400000;

extern char url[URL_MAX]; /* of the test's database */

/* The setup of a case: a new database, without tables. */
int new_database(void **state);
#define CASE(name) cmocka_unit_test_setup(name, new_database)

struct store *open_lane(void);
enum outcome apply_one(struct store *store, struct op *op);

/* Spans are borrowed. The bid's publisher is "pub", its campaign "c"; an id is a new one. */
struct uuid fresh_id(void);
struct op click_op(struct span bid);
struct op conversion_op(struct span click, struct span key, struct span order);
struct op event_op(struct span event_id);
struct op impression_op(struct span bid);
struct op feedback_op(struct span bid);
struct op ad_feedback_op(struct span bid, struct span session);
struct op vote_op(struct span bid, struct span option);
struct op poll_op(void); /* number 7, with the options 0 and 1 */

/* As if servers had been here since then: a partition for each day. */
void begin_days_ago(int days);
