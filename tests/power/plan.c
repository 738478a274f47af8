#include "plan.h"

#include "world.h"

#include <stdio.h>
#include <string.h>

struct span plan_payload(int number, char memory[PLAN_PAYLOAD_MAX])
{
    size_t len = 8 + (size_t)(number * 37 % 90);
    if (number % 23 == 0) len = 600 + (size_t)(number * 131 % 5000); /* past a page of its own */
    for (size_t i = 0; i < len; i++)
        memory[i] = (char)('a' + (number + (int)i) % 26);
    return (struct span){memory, len};
}

void plan_api_key(int number, char id[APIKEY_ID_LEN], uint8_t hash[HASH_SIZE])
{
    char text[APIKEY_ID_LEN + 1];
    snprintf(text, sizeof text, "key%09d", number);
    memcpy(id, text, APIKEY_ID_LEN);
    for (int i = 0; i < HASH_SIZE; i++)
        hash[i] = (uint8_t)(number * 7 + i);
}

void plan_token_key(int number, struct token_key *key)
{
    char text[TOKEN_KID_LEN + 1];
    snprintf(text, sizeof text, "kid%05d", number);
    memcpy(key->kid, text, TOKEN_KID_LEN);
    memset(key->key.bytes, number, sizeof key->key.bytes);
    key->created_at_ms = 1 + number;
}

static int maybe(int sides)
{
    return world_roll(3) ? (int)world_roll((uint64_t)sides) : PLAN_NONE;
}

static enum op_kind roll_kind(void)
{
    static const enum op_kind kinds[] = {
        OP_CLICK,       OP_CLICK,      OP_CLICK,        OP_CONVERSION,   OP_CONVERSION,
        OP_CONVERSION,  OP_CONVERSION, OP_CONVERSION,   OP_SERVER_EVENT, OP_SERVER_EVENT,
        OP_IMPRESSION,  OP_IMPRESSION, OP_FEEDBACK,     OP_FEEDBACK,     OP_AD_FEEDBACK,
        OP_AD_FEEDBACK, OP_VOTE,       OP_VOTE,         OP_VOTE,         OP_POLL_RESULTS,
        OP_POLL_PUT,    OP_CONVERSION, OP_SERVER_EVENT, OP_AD_FEEDBACK,
    };
    static const enum op_kind rare[] = {
        OP_POLL_WITHDRAW,    OP_KEY_CREATE, OP_KEY_CREATE, OP_KEY_REVOKE, OP_TOKEN_KEY_ROTATE,
        OP_TOKEN_KEY_RETIRE, OP_ERASE,      OP_ERASE,      OP_RETAIN,     OP_RETAIN,
    };
    if (world_roll(10) == 0) return rare[world_roll(sizeof rare / sizeof rare[0])];
    return kinds[world_roll(sizeof kinds / sizeof kinds[0])];
}

static struct uuid new_id(void)
{
    uint8_t random[10];
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)world_roll(256);
    return uuid_make_v7(world_now_ms(), random);
}

/* What `adtally import` brings, but polls and keys: they come as others do. */
static bool can_be_imported(enum op_kind kind)
{
    return kind == OP_CLICK || kind == OP_CONVERSION || kind == OP_SERVER_EVENT ||
           kind == OP_IMPRESSION || kind == OP_VOTE;
}

void plan_event_of(struct event *event, enum op_kind kind, int number, int era, const int *clicks,
                   int clicks_count)
{
    enum { NAMES = 30 };
    *event = (struct event){.kind = kind, .number = number, .click = PLAN_NONE, .era = era};
    if (clicks_count) event->click = clicks[world_roll((uint64_t)clicks_count)];
    event->partner = (int)world_roll(2);
    event->type = (int)world_roll(2);
    event->key = maybe(NAMES);
    event->order = maybe(NAMES);
    if (event->key != PLAN_NONE) event->key += era * NAMES;
    if (event->order != PLAN_NONE) event->order += era * NAMES;
    event->has_header = world_roll(2);
    event->check_order = world_roll(2);
    event->bid = era * PLAN_BIDS + (int)world_roll(PLAN_BIDS);
    event->session = (int)world_roll(4);
    event->mood = (int)world_roll(3);
    event->poll = (int)world_roll(PLAN_POLLS);
    event->option = (int)world_roll(PLAN_POLL_OPTIONS);
    if (event->key == PLAN_NONE) event->has_header = false;
    if (!event->has_header) event->check_order = true; /* as both pages have it */
    if (kind == OP_CLICK && world_roll(8) == 0) event->bid = PLAN_NONE;
    if (kind == OP_POLL_PUT) event->option = 2 + (int)world_roll(PLAN_POLL_OPTIONS - 1);
    if (kind == OP_KEY_CREATE || kind == OP_KEY_REVOKE) event->key = (int)world_roll(PLAN_KEYS);
    if (kind == OP_TOKEN_KEY_ROTATE || kind == OP_TOKEN_KEY_RETIRE)
        event->key = (int)world_roll(PLAN_TOKENS);
    event->is_import = can_be_imported(kind) && world_roll(6) == 0;
    event->id = new_id();
}

void plan_event(struct event *event, int number, int era, const int *clicks, int clicks_count)
{
    plan_event_of(event, roll_kind(), number, era, clicks, clicks_count);
}

/* -- from an event to its op --------------------------------------------------------------- */

static struct span name(struct request *request, int slot, const char *prefix, int number)
{
    if (number == PLAN_NONE) return SPAN_NONE;
    snprintf(request->names[slot], sizeof request->names[slot], "%s%d", prefix, number);
    return span_of(request->names[slot]);
}

enum { NAME_NUMBER, NAME_PARTNER, NAME_TYPE, NAME_KEY, NAME_ORDER, NAME_BID, NAME_SESSION };

static struct ad_facts ad_of(struct request *request, const struct event *event)
{
    return (struct ad_facts){.bid_id = name(request, NAME_BID, "bid", event->bid),
                             .publisher_id = SPAN("pub"),
                             .campaign_id = SPAN("campaign"),
                             .user_id = name(request, NAME_NUMBER, "n", event->number)};
}

static struct sender sender_of(struct request *request, const struct event *event)
{
    return (struct sender){.partner_id = name(request, NAME_PARTNER, "partner", event->partner),
                           .api_key_id = SPAN("key"),
                           .api_key_label = SPAN("label")};
}

/* A click from elsewhere has an end of its own. */
static void ask_click(struct request *request, const struct event *event, struct span payload,
                      int64_t now_ms)
{
    enum { DAYS_LEFT = 80 };
    request->op.click = (struct click){
        .id = event->id,
        .expires_at_ms = event->is_import ? now_ms + DAYS_LEFT * PLAN_DAY_MS : event->at_ms + 1,
        .ad = ad_of(request, event),
        .visitor = {.user_agent = payload},
        .landing_url = SPAN("https://shop.example/"),
        .route = event->is_import ? SPAN("import") : SPAN("redirect"),
    };
}

static void ask_conversion(struct request *request, const struct event *events,
                           const struct event *event, struct span payload)
{
    struct span key = name(request, NAME_KEY, "k", event->key);
    struct span click_id = SPAN("00000000-0000-7000-8000-000000000000");
    if (event->click != PLAN_NONE) {
        uuid_write(request->click_id, &events[event->click].id);
        click_id = (struct span){request->click_id, UUID_TEXT_LEN};
    }
    request->op.conversion = (struct conversion){
        .sender = sender_of(request, event),
        .click_id = click_id,
        .event_type = name(request, NAME_TYPE, "type", event->type),
        .idempotency_key = event->has_header ? key : SPAN_NONE,
        .event_id = event->has_header ? SPAN_NONE : key,
        .order_id = name(request, NAME_ORDER, "o", event->order),
        .check_order = event->check_order,
        .conversion_time = SPAN("2026-09-21T14:13:20Z"),
        .conversion_time_ms = event->at_ms,
        .conversion_value = SPAN("49.99"),
        .value = {49, 990000000},
        .currency = SPAN("USD"),
        .channel = SPAN("server"),
        .session_id = name(request, NAME_NUMBER, "n", event->number),
        .params = payload,
    };
}

static void ask_server_event(struct request *request, const struct event *event,
                             struct span payload)
{
    request->op.server_event = (struct server_event){
        .sender = sender_of(request, event),
        .event_name = SPAN("page_view"),
        .tag_id = name(request, NAME_TYPE, "tag", event->type),
        .event_id = name(request, NAME_KEY, "e", event->key),
        .timestamp = event->at_ms / 1000,
        .channel = SPAN("server"),
        .session_id = name(request, NAME_NUMBER, "n", event->number),
        .params = payload,
    };
}

static void ask_ad_feedback(struct request *request, const struct event *event, struct span payload)
{
    static const struct span moods[] = {SPAN_INIT("thumbs_up"), SPAN_INIT("thumbs_down"),
                                        SPAN_INIT("thumbs_up")};
    request->op.ad_feedback = (struct ad_feedback){
        .id = new_id(), /* each request has its own, a retry too */
        .ad = ad_of(request, event),
        .api_key_id = SPAN("key"),
        .sent_session_id = name(request, NAME_SESSION, "session", event->session),
        .sentiment = moods[event->mood],
        .reasons = event->mood == 2 ? SPAN("[\"helpful\"]") : SPAN_NONE,
        .device = payload,
    };
}

static void ask_poll(struct request *request, const struct event *event)
{
    static const struct span ids[PLAN_POLL_OPTIONS] = {SPAN_INIT("0"), SPAN_INIT("1"),
                                                       SPAN_INIT("2"), SPAN_INIT("3")};
    struct poll *poll = &request->op.poll;
    *poll = (struct poll){.id = event->poll + 1,
                          .question = name(request, NAME_NUMBER, "n", event->number),
                          .options_count = (uint32_t)event->option};
    for (int i = 0; i < event->option; i++)
        poll->options[i] = (struct poll_option){ids[i], SPAN("text")};
}

static void ask_key(struct request *request, const struct event *event)
{
    uint8_t hash[HASH_SIZE];
    plan_api_key(event->key, request->names[NAME_KEY], hash);
    struct span id = {request->names[NAME_KEY], APIKEY_ID_LEN};
    if (event->kind == OP_KEY_REVOKE) {
        request->op.key_id = id;
        return;
    }
    request->op.key = (struct api_key){.id = id,
                                       .cls = APIKEY_PARTNER,
                                       .label = SPAN("label"),
                                       .partner_id = SPAN("partner0"),
                                       .created_at_ms = 1 + event->key};
    memcpy(request->op.key.hash, hash, sizeof hash);
}

static void ask_erase(struct request *request, const struct event *event)
{
    static const uint8_t key[ERASE_KEY_SIZE] = "of one erasure";
    request->op.erase = (struct erase){.table = event->erase.table,
                                       .rows = event->erase.rows,
                                       .rows_count = event->erase.rows_count,
                                       .key = key,
                                       .is_last = event->type};
}

static void ask_retain(struct request *request, const struct event *event)
{
    struct retain *retain = &request->op.retain;
    *retain = (struct retain){.rows_max = 1 + (uint32_t)event->bid % PLAN_BIDS};
    for (int i = 0; i < EVENT_TABLES; i++)
        retain->keep_ms[i] = PLAN_KEEP_DAYS * PLAN_DAY_MS;
}

void plan_request(struct request *request, const struct event *events, int index, int64_t now_ms)
{
    const struct event *event = &events[index];
    struct span payload = plan_payload(event->number, request->payload);
    request->event = index;
    request->op = (struct op){.kind = event->kind, .received_at_ms = now_ms};
    if (event->is_import) request->op.happened_at_ms = now_ms - PLAN_DAY_MS;
    switch (event->kind) {
    case OP_CLICK:
        ask_click(request, event, payload, now_ms);
        break;
    case OP_CONVERSION:
        ask_conversion(request, events, event, payload);
        break;
    case OP_SERVER_EVENT:
        ask_server_event(request, event, payload);
        break;
    case OP_IMPRESSION:
        request->op.impression = (struct impression){
            .ad = ad_of(request, event), .visitor = {.user_agent = payload}, .route = SPAN("view")};
        break;
    case OP_FEEDBACK:
        request->op.feedback =
            (struct feedback){.bid_id = name(request, NAME_BID, "bid", event->bid),
                              .type = SPAN("positive"),
                              .text = name(request, NAME_NUMBER, "n", event->number)};
        break;
    case OP_AD_FEEDBACK:
        ask_ad_feedback(request, event, payload);
        break;
    case OP_VOTE:
    case OP_POLL_RESULTS:
        request->op.vote = (struct vote){.ad = ad_of(request, event),
                                         .poll_id = event->poll + 1,
                                         .option_id = name(request, NAME_KEY, "", event->option)};
        request->op.vote.ad.placement = payload;
        break;
    case OP_POLL_PUT:
    case OP_POLL_WITHDRAW:
        ask_poll(request, event);
        break;
    case OP_KEY_CREATE:
    case OP_KEY_REVOKE:
        ask_key(request, event);
        break;
    case OP_TOKEN_KEY_ROTATE:
    case OP_TOKEN_KEY_RETIRE:
        plan_token_key(event->key, &request->op.token_key);
        break;
    case OP_ERASE:
        ask_erase(request, event);
        break;
    case OP_RETAIN:
        ask_retain(request, event);
        break;
    }
}
