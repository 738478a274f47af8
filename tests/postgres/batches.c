#include "batches.h"

#include "base/clock.h"
#include "base/rng.h"

#include <stdio.h>
#include <time.h>

char url[URL_MAX];

struct store *open_lane(void)
{
    struct store_options options;
    struct store *store;
    char problem[STORE_PROBLEM_MAX] = "";
    store_options_init(&options);
    options.url = url;
    enum err err = store_open(&store, &options, problem);
    if (err) print_error("%s\n", problem);
    assert_int_equal(err, ERR_OK);
    return store;
}

int new_database(void **state)
{
    base_new_database(url);
    return 0;
}

enum outcome apply_one(struct store *store, struct op *op)
{
    store_apply(store, &op, 1);
    return op->outcome;
}

/* -- ops ----------------------------------------------------------------------------------- */

static struct ad_facts ad_of(struct span bid)
{
    return (struct ad_facts){.bid_id = bid, .publisher_id = SPAN("pub"), .campaign_id = SPAN("c")};
}

struct uuid fresh_id(void)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    return uuid_make_v7(clock_wall_ms(), random);
}

struct op click_op(struct span bid)
{
    return (struct op){.kind = OP_CLICK,
                       .received_at_ms = clock_wall_ms(),
                       .click = {.id = fresh_id(),
                                 .ad = ad_of(bid),
                                 .landing_url = SPAN("https://shop.example/"),
                                 .route = SPAN("redirect"),
                                 .expires_at_ms = clock_wall_ms() + 1000000}};
}

static const struct sender sender = {
    .partner_id = {"partner", 7}, .api_key_id = {"key", 3}, .api_key_label = {"label", 5}};

struct op conversion_op(struct span click, struct span key, struct span order)
{
    return (struct op){.kind = OP_CONVERSION,
                       .received_at_ms = clock_wall_ms(),
                       .conversion = {.sender = sender,
                                      .click_id = click,
                                      .event_type = SPAN("purchase_completed"),
                                      .idempotency_key = key,
                                      .order_id = order,
                                      .check_order = true,
                                      .conversion_time = SPAN("2026-09-21T14:13:20Z"),
                                      .conversion_value = SPAN("49.99"),
                                      .value = {49, 990000000},
                                      .currency = SPAN("USD"),
                                      .channel = SPAN("server")}};
}

struct op event_op(struct span event_id)
{
    return (struct op){.kind = OP_SERVER_EVENT,
                       .received_at_ms = clock_wall_ms(),
                       .server_event = {.sender = sender,
                                        .event_name = SPAN("page_view"),
                                        .tag_id = SPAN("tag"),
                                        .event_id = event_id,
                                        .channel = SPAN("server"),
                                        .params = SPAN("{}")}};
}

struct op impression_op(struct span bid)
{
    return (struct op){.kind = OP_IMPRESSION,
                       .received_at_ms = clock_wall_ms(),
                       .impression = {.ad = ad_of(bid), .route = SPAN("view")}};
}

struct op feedback_op(struct span bid)
{
    return (struct op){.kind = OP_FEEDBACK,
                       .received_at_ms = clock_wall_ms(),
                       .feedback = {.bid_id = bid, .type = SPAN("positive")}};
}

struct op ad_feedback_op(struct span bid, struct span session)
{
    return (struct op){.kind = OP_AD_FEEDBACK,
                       .received_at_ms = clock_wall_ms(),
                       .ad_feedback = {.id = fresh_id(),
                                       .ad = ad_of(bid),
                                       .api_key_id = SPAN("k"),
                                       .sent_session_id = session,
                                       .sentiment = SPAN("thumbs_up"),
                                       .comment = SPAN("fine")}};
}

struct op vote_op(struct span bid, struct span option)
{
    return (struct op){.kind = OP_VOTE,
                       .received_at_ms = clock_wall_ms(),
                       .vote = {.ad = ad_of(bid), .poll_id = 7, .option_id = option}};
}

struct op poll_op(void)
{
    return (struct op){.kind = OP_POLL_PUT,
                       .received_at_ms = clock_wall_ms(),
                       .poll = {.id = 7,
                                .question = SPAN("What?"),
                                .options = {{{"0", 1}, {"Yes", 3}}, {{"1", 1}, {"No", 2}}},
                                .options_count = 2}};
}

/* -- days ---------------------------------------------------------------------------------- */

void begin_days_ago(int days)
{
    store_close(open_lane());
    int64_t day = clock_wall_ms() / DAY_MS - days;
    time_t seconds = (time_t)(day * DAY_MS / 1000);
    char name[16], sql[1024];
    strftime(name, sizeof name, "%Y%m%d", gmtime(&seconds));
    snprintf(sql, sizeof sql,
             "DO $$ DECLARE t text; p text; BEGIN"
             " FOREACH t IN ARRAY '{click,conversion,server_event,impression,feedback,ad_feedback,"
             "vote}'::text[] LOOP"
             " FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = t::regclass"
             " AND inhrelid::regclass::text LIKE t || '%%' LOOP"
             " EXECUTE 'DROP TABLE ' || p; END LOOP;"
             " EXECUTE format('CREATE TABLE %%s_%s PARTITION OF %%s FOR VALUES FROM (%lld) TO"
             " (%lld)', t, t); END LOOP; END $$",
             name, (long long)(day * DAY_MS), (long long)((day + 1) * DAY_MS));
    base_run(url, sql);
}
