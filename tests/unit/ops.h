#pragma once

#include "base/rng.h"
#include "store/op.h"

/* Ops of every kind of event as the suites of the store and of the ledger send them. */

enum { CLICK_LIFE_DAYS = 90 };

static const struct sender some_sender = {
    .partner_id = {"partner", 7}, .api_key_id = {"key", 3}, .api_key_label = {"label", 5}};

static inline struct ad_facts ad_of(struct span bid)
{
    return (struct ad_facts){.bid_id = bid, .publisher_id = SPAN("pub"), .campaign_id = SPAN("c")};
}

static inline struct uuid fresh_id(int64_t at_ms)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    return uuid_make_v7(at_ms, random);
}

static inline struct op click_op(struct span bid, int64_t at_ms)
{
    return (struct op){.kind = OP_CLICK,
                       .received_at_ms = at_ms,
                       .click = {.id = fresh_id(at_ms),
                                 .ad = ad_of(bid),
                                 .landing_url = SPAN("https://shop.example/"),
                                 .route = SPAN("redirect"),
                                 .expires_at_ms = at_ms + CLICK_LIFE_DAYS * INT64_C(86400000)}};
}

static inline struct op event_op(struct span tag, struct span event_id, int64_t at_ms)
{
    return (struct op){.kind = OP_SERVER_EVENT,
                       .received_at_ms = at_ms,
                       .server_event = {.sender = some_sender,
                                        .event_name = SPAN("page_view"),
                                        .tag_id = tag,
                                        .event_id = event_id,
                                        .timestamp = at_ms / 1000,
                                        .channel = SPAN("server"),
                                        .params = SPAN("{}")}};
}

static inline struct op impression_op(struct span bid, int64_t at_ms)
{
    return (struct op){.kind = OP_IMPRESSION,
                       .received_at_ms = at_ms,
                       .impression = {.ad = ad_of(bid), .route = SPAN("view")}};
}

static inline struct op feedback_op(struct span bid, struct span type, int64_t at_ms)
{
    return (struct op){
        .kind = OP_FEEDBACK, .received_at_ms = at_ms, .feedback = {.bid_id = bid, .type = type}};
}

static inline struct op ad_feedback_op(struct span bid, struct span session, struct span sentiment,
                                       int64_t at_ms)
{
    return (struct op){.kind = OP_AD_FEEDBACK,
                       .received_at_ms = at_ms,
                       .ad_feedback = {.id = fresh_id(at_ms),
                                       .ad = ad_of(bid),
                                       .api_key_id = SPAN("k"),
                                       .sent_session_id = session,
                                       .sentiment = sentiment}};
}
