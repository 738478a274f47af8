#include "clients.h"

#include "picks.h"
#include "seams.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

enum {
    HISTORY_MAX = 64,
    FOLLOWERS_MAX = 3, /* requests about what just expires */
    BURST_CLICKS = 104,
    BURST_SESSION = 48, /* past 30 also when a batch of them failed */
    BURST_SESSIONS = 104,
    FEW_FEEDBACKS = 15, /* per batch some more: never 30 in one session */
};

static const int DAY_S = 24 * 60 * 60;

static struct {
    uint32_t weights[ASK_KINDS];
    struct ask history[HISTORY_MAX];
    uint32_t history_count;
    struct ask burst;
    int burst_left;
    struct ask follow;
    int follow_left;
    char tokens[ADS_MAX][TOKEN_USES][TOKEN_TEXT];
    bool bursts, clock_goes_back;
    bool minute_is_full; /* of the session of the burst that just ended */
} clients;

/* Usual requests are rare or frequent or absent in a seed: some mistakes show only when a thing
 * happens a lot, and others when nothing else does. */
void clients_begin(bool clock_goes_back)
{
    static const uint32_t tastes[] = {0, 1, 1, 2, 2, 4, 8};
    memset(&clients, 0, sizeof clients);
    for (int kind = 0; kind < ASK_KINDS; kind++)
        clients.weights[kind] = 4 * tastes[dice_below(sizeof tastes / sizeof tastes[0])];
    for (int kind = ASK_KEY_CREATE; kind < ASK_KINDS; kind++)
        clients.weights[kind] /= 4;
    clients.weights[ASK_MINT] += 4;
    clients.weights[ASK_REDIRECT] += 2;
    clients.clock_goes_back = clock_goes_back;
    clients.bursts = !clock_goes_back && dice_in(3);
}

static enum ask_kind pick_kind(void)
{
    uint32_t sum = 0;
    for (int kind = 0; kind < ASK_KINDS; kind++)
        sum += clients.weights[kind];
    uint32_t at = dice_below(sum);
    int kind = 0;
    while (at >= clients.weights[kind])
        at -= clients.weights[kind++];
    return (enum ask_kind)kind;
}

/* Many of one kind, to where a cap is. */
static void begin_burst(const struct model *model)
{
    int ad = model->ads_count - 1;
    if (ad < 0) return;
    int publisher = KEY_NONE;
    for (int i = 0; i < model->keys_count; i++)
        if (model->keys[i].key_class == KEY_PUBLISHER &&
            model->keys[i].publisher == model->ads[ad].publisher && !model->keys[i].expires_ms)
            publisher = i;
    uint32_t which = dice_below(3);
    clients.burst = (struct ask){.kind = which ? ASK_AD_FEEDBACK : ASK_REDIRECT,
                                 .key = publisher,
                                 .ad = ad,
                                 .token = which ? TOKEN_ACK : TOKEN_CLICK,
                                 .session = 4 + (int)which};
    static const int lengths[] = {BURST_CLICKS, BURST_SESSION, BURST_SESSIONS};
    clients.burst_left = lengths[which];
}

static void next_of_burst(struct ask *out)
{
    *out = clients.burst;
    int left = clients.burst_left--;
    out->reasons = left;
    if (out->kind == ASK_AD_FEEDBACK && out->session == 6) out->session = 6 + left % 4;
    clients.minute_is_full = out->kind == ASK_AD_FEEDBACK && left == 1;
}

static bool retry(struct ask *out)
{
    uint32_t kept = clients.history_count < HISTORY_MAX ? clients.history_count : HISTORY_MAX;
    if (!kept || !dice_in(3)) return false;
    *out = clients.history[dice_below(kept)];
    return true;
}

static bool follow(struct ask *out)
{
    if (!clients.follow_left) return false;
    *out = clients.follow;
    out->reasons += clients.follow_left--; /* what says something new is no retry */
    return true;
}

/* An event of this key that the window no longer holds, though it may be thought of as younger: its
 * time is of a clock that was set back. */
static bool was_collected_before(const struct model *model, const struct ask *ask)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        if (event->kind == EVENT_SERVER && event->ask.event_id == ask->event_id &&
            event->ask.tag == ask->tag &&
            clock_true_ms() >= event->ask.at_ms + model->rules.collect_window_ms)
            return true;
    }
    return false;
}

static bool is_settled_feedback(const struct model *model, const struct ask *ask)
{
    int count = 0;
    for (int i = 0; i < model->events_count; i++)
        count += model->events[i].kind == EVENT_AD_FEEDBACK;
    bool is_young =
        clock_true_ms() < model->ads[ask->ad].minted_ms + model->rules.impression_ttl_ms;
    return is_young && (count < FEW_FEEDBACKS || !clients.clock_goes_back);
}

/* Nobody asks what the contract leaves open: whether a feedback is a retry of one that is older
 * than impression_ttl, and how long a window or a minute is while the clock is set back. */
static bool is_settled(const struct model *model, const struct ask *ask)
{
    if (ask->kind == ASK_AD_FEEDBACK && ask->ad >= 0) return is_settled_feedback(model, ask);
    bool is_collect = ask->kind == ASK_COLLECT && ask->event_id;
    return !is_collect || !clients.clock_goes_back || !was_collected_before(model, ask);
}

static bool make_new(const struct model *model, struct ask *out)
{
    *out = (struct ask){.kind = pick_kind(), .key = KEY_NONE, .ad = -1, .click = -1, .poll = -1};
    out->client = (int)dice_below(CLIENTS_MAX);
    if (!picks_fill(model, out, clock_true_ms())) return false;
    if (out->kind < ASK_KEY_CREATE && dice_in(25)) out->flaw = (enum flaw)dice_below(FLAWS);
    if (out->kind != ASK_MINT && out->kind < ASK_ROTATE)
        clients.history[clients.history_count++ % HISTORY_MAX] = *out;
    return true;
}

bool clients_are_at_a_cap(void)
{
    return clients.burst_left > 0;
}

bool clients_ask(const struct model *model, struct ask *out)
{
    if (clients.bursts && !clients.burst_left && dice_in(150)) begin_burst(model);
    if (clients.burst_left)
        next_of_burst(out);
    else if (!follow(out) && !retry(out) && !make_new(model, out))
        return false;
    return is_settled(model, out);
}

/* One character of the token is another. */
static void garble(char out[TOKEN_TEXT], const char *token)
{
    size_t len = strlen(token);
    words_copy(out, TOKEN_TEXT, token);
    if (!len) return;
    char *at = &out[len - 1 - dice_below((uint32_t)len)];
    *at = *at == 'A' ? 'B' : 'A';
}

static void write_bid(char out[UUID_TEXT], int ad)
{
    snprintf(out, UUID_TEXT, "bid%d", ad);
}

void clients_write(const struct model *model, const struct ask *ask, struct words_request *out)
{
    struct words_texts texts = {.bid = "bid-of-nobody", .token = "v4.local.nothing"};
    char bid[UUID_TEXT];
    texts.click_id =
        ask->click >= 0 ? model->events[ask->click].id : "00000000-0000-7000-8000-000000000000";
    if (ask->kind == ASK_MINT) {
        write_bid(bid, ask->ad);
        texts.bid = ask->ad % 4 ? bid : ""; /* the server makes one */
    } else if (ask->ad >= 0) {
        texts.bid = model->ads[ask->ad].bid;
        texts.token = clients.tokens[ask->ad][ask->token];
        if (ask->garbled) garble(texts.garbled, texts.token);
        if (ask->garbled) texts.token = texts.garbled;
    }
    words_write(out, ask, &texts);
}

static bool read_tokens(int ad, const char *body)
{
    static const char *const before[TOKEN_USES] = {
        [TOKEN_VIEW] = "/api/v1/tracking/view?token=",
        [TOKEN_CLICK] = "/api/v1/tracking/redirect?token=",
        [TOKEN_ACK] = "/ack?p=",
        [TOKEN_VOTE] = "/api/v1/tracking/sponsored-polls/vote?token=",
        [TOKEN_RESULTS] = "/api/v1/tracking/sponsored-polls/results?token="};
    bool all = true;
    for (int use = 0; use < TOKEN_USES; use++) {
        char *token = clients.tokens[ad][use];
        token[0] = '\0';
        all &= words_read_member(token, TOKEN_TEXT, body, before[use]) || use >= TOKEN_VOTE;
    }
    return all;
}

/* The key that minted it: the one that was rotated to last, or one whose rotation nobody was told
 * about. */
static int minting_key(struct model *model, const char *token)
{
    char kid[KID_TEXT];
    if (!server_kid_of_token(kid, token)) return -1;
    for (int i = model->token_keys_count - 1; i >= model->minting; i--) {
        struct known_token_key *key = &model->token_keys[i];
        if (strcmp(key->kid, kid) != 0) continue;
        if (i == model->minting) return i;
        if (key->state != TOKEN_KEY_MAYBE) return -1;
        key->state = TOKEN_KEY_LIVE;
        return model->minting = i;
    }
    return -1;
}

bool clients_learn_ad(struct model *model, const struct ask *ask, const char *body, int64_t end_ms)
{
    struct ad *ad = &model->ads[ask->ad];
    if (!read_tokens(ask->ad, body)) return false;
    *ad = (struct ad){.publisher = ask->publisher,
                      .advertiser = ask->advertiser,
                      .poll = ask->poll,
                      .minted_ms = ask->at_ms,
                      .exp_ms = end_ms,
                      .token_key = minting_key(model, clients.tokens[ask->ad][TOKEN_VIEW])};
    model->ads_count++;
    return ad->token_key >= 0 && words_read_member(ad->bid, sizeof ad->bid, body, "\"bidId\":\"");
}

void clients_mint_elsewhere(struct model *model, int index)
{
    struct ad *ad = &model->ads[index];
    struct server_ad facts = {.publisher = ad->publisher, .advertiser = ad->advertiser};
    const struct rules *rules = &model->rules;
    ad->exp_ms = ad->minted_ms + rules->impression_ttl_ms + 2 * rules->token_margin_ms;
    ad->click_has_no_bid = true;
    ad->poll = -1;
    facts.end_ms = ad->exp_ms;
    words_landing(facts.url, sizeof facts.url, index);
    for (int use = 0; use < TOKEN_USES; use++) {
        snprintf(facts.bid, sizeof facts.bid, "%s", use == TOKEN_CLICK ? "" : ad->bid);
        clients.tokens[index][use][0] = '\0';
        if (use < TOKEN_VOTE)
            server_mint_elsewhere(clients.tokens[index][use], &facts, (enum token_use)use);
    }
}

/* The first time after `now_ms` at which something that one of these events started ends. */
static int64_t end_of(const struct model *model, const struct event *event)
{
    const struct rules *rules = &model->rules;
    switch (event->kind) {
    case EVENT_CLICK:
        if (event->ask.kind == ASK_IMPORT) return event->ask.end_ms + 1;
        return event->ask.at_ms + rules->click_ttl_ms + 1;
    case EVENT_SERVER:
        return event->ask.at_ms + rules->collect_window_ms;
    case EVENT_IMPRESSION:
        return event->ask.at_ms + rules->impression_ttl_ms + 1;
    case EVENT_AD_FEEDBACK:
        return event->ask.at_ms + rules->minute_ms;
    default:
        return 0;
    }
}

/* What somebody asks to see whether it still counts. */
static struct ask follower_of(const struct event *event, int index)
{
    struct ask ask = event->ask;
    if (event->kind == EVENT_CLICK)
        ask = (struct ask){.kind = ASK_CONVERSION_V1, .click = index, .value = 500};
    if (event->kind == EVENT_IMPRESSION)
        ask = (struct ask){.kind = ASK_FEEDBACK, .ad = ask.ad, .comment = 1, .key = KEY_NONE};
    if (event->kind == EVENT_AD_FEEDBACK) ask.reasons += 1000;
    return ask;
}

static int64_t wait_for_event(const struct model *model, int64_t now_ms)
{
    if (!model->events_count) return 0;
    int index = (int)dice_below((uint32_t)model->events_count);
    const struct event *event = &model->events[index];
    int64_t end_ms = end_of(model, event);
    if (end_ms <= now_ms + 1) return 0;
    clients.follow = follower_of(event, index);
    clients.follow_left = FOLLOWERS_MAX;
    return end_ms - now_ms - 1;
}

static int64_t wait_for_token(const struct model *model, int64_t now_ms)
{
    static const enum ask_kind kinds[] = {ASK_VIEW, ASK_ACK, ASK_REDIRECT, ASK_VOTE};
    if (!model->ads_count) return 0;
    int ad = (int)dice_below((uint32_t)model->ads_count);
    enum ask_kind kind = kinds[dice_below(4)];
    const struct rules *rules = &model->rules;
    int64_t end_ms = model->ads[ad].exp_ms;
    /* Tokens of others may end too late for now. */
    int64_t begin_ms = end_ms - rules->impression_ttl_ms - rules->token_margin_ms;
    if (begin_ms > now_ms + 1) end_ms = begin_ms;
    if (end_ms <= now_ms + 1) return 0;
    clients.follow = (struct ask){
        .kind = kind, .key = KEY_NONE, .ad = ad, .token = picks_token(kind), .option = 1};
    clients.follow_left = FOLLOWERS_MAX;
    return end_ms - now_ms - 1;
}

static int64_t wait_for_key(const struct model *model, int64_t now_ms)
{
    int found = -1, seen = 0;
    for (int i = 0; i < model->keys_count; i++) {
        const struct key *key = &model->keys[i];
        bool will_end = key->key_class == KEY_PARTNER && key->expires_ms > now_ms + 1;
        if (will_end && !key->revoked && dice_in((uint32_t)++seen)) found = i;
    }
    if (found < 0) return 0;
    clients.follow = (struct ask){.kind = ASK_COLLECT, .key = found, .tag = 1, .event_id = 1};
    clients.follow_left = FOLLOWERS_MAX;
    return model->keys[found].expires_ms - now_ms - 1;
}

/* Until the first feedback of the full minute has aged, which another one is waiting for. */
static int64_t wait_for_minute(const struct model *model, int64_t now_ms)
{
    int count = 0, i = model->events_count - 1;
    clients.minute_is_full = false;
    for (; i >= 0; i--) {
        const struct event *event = &model->events[i];
        if (event->kind == EVENT_AD_FEEDBACK && event->ask.session == clients.burst.session &&
            ++count == model->rules.feedbacks_per_minute)
            break;
    }
    if (i < 0) return 0;
    clients.follow = follower_of(&model->events[i], i);
    clients.follow_left = FOLLOWERS_MAX;
    int64_t end_ms = model->events[i].ask.at_ms + model->rules.minute_ms;
    return end_ms > now_ms ? end_ms - now_ms - 1 : 0;
}

/* Where rows are removed, some have to be old. */
static int64_t pause_until_old(void)
{
    if (!clients.weights[ASK_RETAIN] || !dice_in(3)) return dice_below(20);
    return (int64_t)dice_below((uint32_t)DAY_S) * 1000 * (1 + dice_below(60));
}

int64_t clients_pause_ms(const struct model *model, int64_t now_ms)
{
    if (clients.burst_left || clients.follow_left) return dice_below(3) ? dice_below(2) : 0;
    if (clients.minute_is_full) return wait_for_minute(model, now_ms);
    switch (dice_below(40)) {
    case 0:
    case 1:
        return wait_for_event(model, now_ms);
    case 2:
        return wait_for_token(model, now_ms);
    case 3:
        return wait_for_key(model, now_ms);
    case 4:
        return dice_below(60 * 1000);
    case 5:
        return dice_in(4) ? (int64_t)dice_below((uint32_t)DAY_S) * 1000 : dice_below(5000);
    case 6:
        return pause_until_old();
    default:
        return dice_below(20);
    }
}
