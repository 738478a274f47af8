#include "model.h"

#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SECOND_US = 1000000 };

void rules_init(struct rules *rules)
{
    *rules = (struct rules){.minute_ms = 60 * 1000,
                            .token_margin_ms = 60 * 1000,
                            .feedbacks_per_minute = 30,
                            .per_bid_max = 100};
}

static const char *const break_names[] = {
    "click-ttl",   "impression-ttl", "collect-window", "minute",      "per-minute",
    "per-bid",     "token-expiry",   "tenants",        "advertisers", "event-types",
    "revocations", "order",          "votes",          "rates",       "token-margin"};

const char *rules_break_name(int i)
{
    return i < (int)(sizeof break_names / sizeof break_names[0]) ? break_names[i] : NULL;
}

bool rules_break(struct rules *rules, const char *name)
{
    int which = 0;
    while (rules_break_name(which) && strcmp(name, rules_break_name(which)) != 0)
        which++;
    switch (which) {
    case 0:
        rules->click_leeway_ms += 1;
        return true;
    case 1:
        rules->impression_ttl_ms -= 1;
        return true;
    case 2:
        rules->collect_window_ms += 1;
        return true;
    case 3:
        rules->minute_ms += 1;
        return true;
    case 4:
        rules->feedbacks_per_minute += 1;
        return true;
    case 5:
        rules->per_bid_max += 1;
        return true;
    case 6:
        rules->token_leeway_ms += 1;
        return true;
    case 7:
        rules->forget_partner = true;
        return true;
    case 8:
        rules->forget_advertiser = true;
        return true;
    case 9:
        rules->forget_event_type = true;
        return true;
    case 10:
        rules->forget_revocation = true;
        return true;
    case 11:
        rules->always_check_order = true;
        return true;
    case 12:
        rules->vote_per_poll = true;
        return true;
    case 13:
        rules->rate_limit *= 2;
        rules->client_rate_limit *= 2;
        return true;
    case 14:
        rules->token_margin_ms += 1;
        return true;
    default:
        return false;
    }
}

static void expect(struct expected *expected, int status, const char *body)
{
    expected->status = status;
    expected->has_body = body != NULL;
    snprintf(expected->body, sizeof expected->body, "%s", body ? body : "");
}

static void expect_nothing(struct expected *expected)
{
    expected->retry_after_s = expected->holder = expected->or_holder = -1;
    expected->has_body = expected->has_location = expected->has_receipt = expected->is_new = false;
}

static void expect_limited(struct expected *expected, const char *body, int64_t wait_ms)
{
    expect(expected, 429, body);
    expected->retry_after_s = (int)((wait_ms + 999) / 1000);
}

#define DETAIL(text) "{\"detail\":\"" text "\"}"
#define FLAT(code, text) "{\"error\":\"" code "\",\"message\":\"" text "\"}"
#define POLL(code, text) "{\"error\":{\"code\":\"" code "\",\"message\":\"" text "\"}}"

static const char poll_token_invalid[] = POLL("invalid_token", "Token is not valid for this poll.");
static const char option_invalid[] =
    POLL("invalid_option", "Option id is not valid for this poll.");

static bool is_poll(const struct ask *ask)
{
    return ask->kind == ASK_VOTE || ask->kind == ASK_RESULTS;
}

static bool is_redirect(const struct ask *ask)
{
    return ask->kind == ASK_REDIRECT || ask->kind == ASK_TRACK_CLICK;
}

static bool is_command(const struct ask *ask)
{
    return ask->kind >= ASK_KEY_CREATE;
}

/* A bucket of one second that leaks evenly. */
static bool take_allowance(int64_t *due_us, uint32_t rate, int64_t now_us, int64_t *wait_ms)
{
    int64_t each_us = SECOND_US / (int64_t)rate;
    int64_t level_us = *due_us > now_us ? *due_us - now_us : 0;
    if (level_us + each_us > SECOND_US) {
        *wait_ms = (level_us + each_us - SECOND_US + 999) / 1000;
        return false;
    }
    *due_us = now_us + level_us + each_us;
    return true;
}

static bool has_passed(struct model *model, int64_t now_ms, int64_t end_ms)
{
    if (now_ms < end_ms) return false;
    model->expiries++;
    return true;
}

/* The key of this class, NULL for every other reason alike. */
static struct key *find_key(struct model *model, const struct ask *ask, enum key_class key_class)
{
    if (ask->key < 0) return NULL;
    struct key *key = &model->keys[ask->key];
    bool revoked = key->revoked && !model->rules.forget_revocation;
    if (!key->exists || key->key_class != key_class || revoked) return NULL;
    return key->expires_ms && has_passed(model, ask->at_ms, key->expires_ms) ? NULL : key;
}

static bool admit_bearer(struct model *model, const struct ask *ask, enum key_class key_class,
                         struct expected *expected)
{
    int64_t wait_ms;
    struct key *key = find_key(model, ask, key_class);
    if (ask->key == KEY_NONE)
        expect(expected, 401, DETAIL("Missing bearer token"));
    else if (!key)
        expect(expected, 401, DETAIL("Invalid API key"));
    else if (key_class == KEY_PARTNER && model->rules.rate_limit &&
             !take_allowance(&key->due_us, model->rules.rate_limit, ask->mono_ms * 1000, &wait_ms))
        expect_limited(expected, DETAIL("Rate limit exceeded"), wait_ms);
    else
        return true;
    return false;
}

static bool admit_client(struct model *model, const struct ask *ask, struct expected *expected)
{
    int64_t wait_ms;
    uint32_t rate = model->rules.client_rate_limit;
    if (!rate ||
        take_allowance(&model->client_due_us[ask->client], rate, ask->mono_ms * 1000, &wait_ms))
        return true;
    expect_limited(expected,
                   is_poll(ask) ? POLL("rate_limited", "Rate limit exceeded")
                                : DETAIL("Rate limit exceeded"),
                   wait_ms);
    return false;
}

/* The token is whole, for this use, and its key is not retired. */
static bool token_opens(const struct model *model, const struct ask *ask, enum token_use use)
{
    if (ask->ad < 0 || ask->garbled || ask->token != use) return false;
    return model->token_keys[model->ads[ask->ad].token_key].state != TOKEN_KEY_RETIRED;
}

static bool token_expired(struct model *model, const struct ask *ask)
{
    return has_passed(model, ask->at_ms, model->ads[ask->ad].exp_ms + model->rules.token_leeway_ms);
}

static bool admit_flawless(const struct ask *ask, struct expected *expected, int malformed,
                           int missing)
{
    int status[FLAWS] = {0, malformed, missing, 422};
    if (ask->flaw == FLAW_NONE) return true;
    expect(expected, status[ask->flaw], NULL);
    return false;
}

static bool admit_redirect(struct model *model, const struct ask *ask, struct expected *expected)
{
    if (!token_opens(model, ask, TOKEN_CLICK)) {
        expect(expected, 404, DETAIL("Not Found"));
        return false;
    }
    if (!ask->is_head && !token_expired(model, ask) && !ask->is_prefetch) return true;
    expect(expected, 302, NULL);
    expected->has_location = true;
    words_landing(expected->location, sizeof expected->location, ask->ad);
    return false;
}

static bool admit_impression(struct model *model, const struct ask *ask, struct expected *expected)
{
    const struct rules *rules = &model->rules;
    enum token_use use = ask->kind == ASK_VIEW ? TOKEN_VIEW : TOKEN_ACK;
    if (!token_opens(model, ask, use) || token_expired(model, ask) ||
        model->ads[ask->ad].exp_ms >
            ask->at_ms + rules->impression_ttl_ms + rules->token_margin_ms) {
        expect(expected, 404, DETAIL("Not Found"));
        return false;
    }
    expect(expected, 200, NULL);
    return !ask->is_head && !ask->is_prefetch;
}

static bool admit_ad_feedback(struct model *model, const struct ask *ask, struct expected *expected)
{
    const struct key *key = find_key(model, ask, KEY_PUBLISHER);
    if (!key) {
        expect(expected, 401, FLAT("unauthorized", "Invalid API key"));
        return false;
    }
    if (!admit_flawless(ask, expected, 422, 422)) return false;
    if (token_opens(model, ask, TOKEN_ACK) && model->ads[ask->ad].publisher == key->publisher)
        return true;
    expect(expected, 422, FLAT("invalid_imp_url", "impUrl could not be decrypted"));
    return false;
}

static bool poll_is_live(const struct model *model, int poll)
{
    return poll >= 0 && model->polls[poll].exists && !model->polls[poll].withdrawn;
}

struct known_token_key *model_token_key(struct model *model, const struct ask *ask)
{
    return ask->ad < 0 ? NULL : &model->token_keys[model->ads[ask->ad].token_key];
}

/* An ad without poll has no tokens for one: what is sent then is blank. */
static bool shows_token(const struct model *model, const struct ask *ask)
{
    if (ask->ad < 0) return false;
    return model->ads[ask->ad].poll >= 0 ||
           (ask->token != TOKEN_VOTE && ask->token != TOKEN_RESULTS);
}

static bool admit_poll(struct model *model, const struct ask *ask, struct expected *expected)
{
    enum token_use use = ask->kind == ASK_VOTE ? TOKEN_VOTE : TOKEN_RESULTS;
    if (!shows_token(model, ask))
        expect(expected, 400, POLL("missing_token", "No signed token was provided."));
    else if (!token_opens(model, ask, use) || token_expired(model, ask) ||
             !poll_is_live(model, model->ads[ask->ad].poll))
        expect(expected, 401, poll_token_invalid);
    else if (ask->kind == ASK_VOTE && (ask->flaw || !ask->option))
        expect(expected, 400, option_invalid);
    else
        return true;
    return false;
}

static void admit_mint(struct model *model, const struct ask *ask, struct expected *expected)
{
    if (!admit_bearer(model, ask, KEY_ADSERVER, expected) ||
        !admit_flawless(ask, expected, 422, 422))
        return;
    if (ask->poll >= 0 && !poll_is_live(model, ask->poll))
        expect(expected, 422, NULL);
    else
        expect(expected, 200, NULL);
}

static void expect_health(const struct model *model, struct expected *expected)
{
    if (!model->degraded) {
        expect(expected, 200, "{\"status\":\"ok\",\"ready\":true}");
        return;
    }
    expect(expected, 503, "{\"status\":\"degraded\",\"ready\":false}");
    expected->retry_after_s = 1;
}

bool model_admit(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect_nothing(expected);
    switch (ask->kind) {
    case ASK_CONVERSION_V1:
        return admit_bearer(model, ask, KEY_PARTNER, expected) &&
               admit_flawless(ask, expected, 400, 400);
    case ASK_CONVERSION_API:
        return admit_bearer(model, ask, KEY_PARTNER, expected) &&
               admit_flawless(ask, expected, 422, 422);
    case ASK_COLLECT:
        return admit_bearer(model, ask, KEY_PARTNER, expected) &&
               admit_flawless(ask, expected, 400, 400);
    case ASK_REDIRECT:
    case ASK_TRACK_CLICK:
        return admit_client(model, ask, expected) && admit_redirect(model, ask, expected);
    case ASK_VIEW:
    case ASK_ACK:
    case ASK_TRACK_IMP:
        return admit_client(model, ask, expected) && admit_impression(model, ask, expected);
    case ASK_FEEDBACK:
        return admit_client(model, ask, expected) && admit_flawless(ask, expected, 422, 422);
    case ASK_AD_FEEDBACK:
        return admit_ad_feedback(model, ask, expected);
    case ASK_VOTE:
    case ASK_RESULTS:
        return admit_client(model, ask, expected) && admit_poll(model, ask, expected);
    case ASK_MINT:
        admit_mint(model, ask, expected);
        return false;
    case ASK_HEALTH:
        expect_health(model, expected);
        return false;
    default:
        return true; /* commands */
    }
}

void model_unavailable(const struct ask *ask, struct expected *expected)
{
    expect_nothing(expected);
    if (is_redirect(ask)) {
        expect(expected, 302, NULL);
        expected->has_location = true;
        words_landing(expected->location, sizeof expected->location, ask->ad);
        return;
    }
    expect(expected, is_poll(ask) || ask->kind == ASK_FEEDBACK ? 500 : 503, NULL);
    if (!is_command(ask)) expected->retry_after_s = 1;
}

static bool same_key(const struct model *model, const struct event *event, const struct ask *ask)
{
    const struct rules *rules = &model->rules;
    return (rules->forget_partner || event->partner == model->keys[ask->key].partner) &&
           event->ask.click == ask->click &&
           (rules->forget_event_type || event->ask.event_type == ask->event_type);
}

/* One name space: words.c spells both alike. */
static int explicit_key(const struct ask *ask)
{
    return ask->idempotency_key ? ask->idempotency_key : ask->event_id;
}

static int find_explicit(const struct model *model, const struct ask *ask)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        if (event->kind == EVENT_CONVERSION && same_key(model, event, ask) && explicit_key(ask) &&
            explicit_key(&event->ask) == explicit_key(ask))
            return i;
    }
    return -1;
}

static int find_order(const struct model *model, const struct ask *ask)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        if (event->kind == EVENT_CONVERSION && same_key(model, event, ask) && ask->order_id &&
            event->ask.order_id == ask->order_id)
            return i;
    }
    return -1;
}

static bool same_collect_key(const struct model *model, const struct event *event,
                             const struct ask *ask)
{
    bool same_partner = event->partner == model->keys[ask->key].partner;
    return event->kind == EVENT_SERVER && ask->event_id && event->ask.event_id == ask->event_id &&
           event->ask.tag == ask->tag && (same_partner || model->rules.forget_partner);
}

/* The first and the last one that the window still holds. */
static void find_collected(struct model *model, const struct ask *ask, struct expected *expected)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        if (!same_collect_key(model, event, ask) ||
            has_passed(model, ask->at_ms, event->ask.at_ms + model->rules.collect_window_ms))
            continue;
        if (expected->holder < 0) expected->holder = i;
        expected->or_holder = i;
    }
}

/* The latest event of this kind and ad. */
static int find_of_ad(const struct model *model, enum event_kind kind, int ad)
{
    int i = model->events_count - 1;
    while (i >= 0 && (model->events[i].kind != kind || model->events[i].ask.ad != ad))
        i--;
    return i;
}

static int count_of_ad(const struct model *model, enum event_kind kind, int ad)
{
    int count = 0;
    for (int i = 0; i < model->events_count; i++)
        count += model->events[i].kind == kind && model->events[i].ask.ad == ad;
    return count;
}

static void record(struct model *model, enum event_kind kind, const struct ask *ask, int subject,
                   struct expected *expected)
{
    struct event *event = &model->events[model->events_count];
    *event = (struct event){.kind = kind, .ask = *ask, .subject = subject};
    if (ask->key >= 0) {
        event->partner = model->keys[ask->key].partner;
        event->publisher = model->keys[ask->key].publisher;
        event->advertiser = model->keys[ask->key].advertiser;
    }
    expected->holder = model->events_count++;
    expected->is_new = true;
}

/* The click, if it lives and is of the key's advertiser. */
static const struct event *find_click(struct model *model, const struct ask *ask)
{
    const struct rules *rules = &model->rules;
    const struct key *key = &model->keys[ask->key];
    if (ask->click < 0) return NULL;
    const struct event *click = &model->events[ask->click];
    int64_t last_ms = click->ask.at_ms + rules->click_ttl_ms + rules->click_leeway_ms;
    if (has_passed(model, ask->at_ms, last_ms + 1)) return NULL;
    bool is_theirs = !key->advertiser || rules->forget_advertiser ||
                     key->advertiser == model->ads[click->ask.ad].advertiser;
    return is_theirs ? click : NULL;
}

static int find_conversion(const struct model *model, const struct ask *ask)
{
    bool checks_order = ask->kind == ASK_CONVERSION_V1 || !ask->idempotency_key;
    int holder = find_explicit(model, ask);
    if (holder >= 0 || !(checks_order || model->rules.always_check_order)) return holder;
    return find_order(model, ask);
}

static void decide_conversion(struct model *model, const struct ask *ask, struct expected *expected)
{
    const struct event *click = find_click(model, ask);
    if (!click) {
        expect(expected, 404, DETAIL("Click not found"));
    } else if (model->ads[click->ask.ad].click_has_no_bid) {
        expect(expected, 400, DETAIL("Click missing bid id"));
    } else {
        int holder = find_conversion(model, ask);
        expect(expected, 200, holder < 0 ? "{\"status\":\"ok\"}" : "{\"status\":\"duplicate\"}");
        expected->has_receipt = true;
        expected->holder = holder;
        if (holder < 0) record(model, EVENT_CONVERSION, ask, ask->click, expected);
    }
}

static void decide_collect(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 204, "");
    expected->has_receipt = true;
    find_collected(model, ask, expected);
    if (expected->holder < 0) record(model, EVENT_SERVER, ask, -1, expected);
}

static void decide_click(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 302, NULL);
    if (model->ads[ask->ad].click_has_no_bid ||
        count_of_ad(model, EVENT_CLICK, ask->ad) < model->rules.per_bid_max) {
        record(model, EVENT_CLICK, ask, -1, expected);
        return;
    }
    expected->has_location = true;
    words_landing(expected->location, sizeof expected->location, ask->ad);
}

static void decide_impression(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 200, NULL);
    if (find_of_ad(model, EVENT_IMPRESSION, ask->ad) < 0)
        record(model, EVENT_IMPRESSION, ask, -1, expected);
}

static void decide_feedback(struct model *model, const struct ask *ask, struct expected *expected)
{
    int impression = ask->ad < 0 ? -1 : find_of_ad(model, EVENT_IMPRESSION, ask->ad);
    bool gone = impression < 0 ||
                has_passed(model, ask->at_ms - 1,
                           model->events[impression].ask.at_ms + model->rules.impression_ttl_ms);
    expect(expected, gone ? 404 : 204, gone ? DETAIL("Impression not found") : "");
    if (!gone && find_of_ad(model, EVENT_FEEDBACK, ask->ad) < 0)
        record(model, EVENT_FEEDBACK, ask, impression, expected);
}

static bool same_session(const struct model *model, const struct event *event,
                         const struct ask *ask)
{
    return event->kind == EVENT_AD_FEEDBACK && event->ask.session == ask->session &&
           event->publisher == model->keys[ask->key].publisher;
}

/* The session's latest on this ad, if it says the same. */
static int find_said(const struct model *model, const struct ask *ask)
{
    for (int i = model->events_count - 1; i >= 0; i--) {
        const struct event *event = &model->events[i];
        if (!same_session(model, event, ask) || event->ask.ad != ask->ad) continue;
        bool is_same = event->ask.sentiment == ask->sentiment &&
                       event->ask.reasons == ask->reasons && event->ask.comment == ask->comment &&
                       event->ask.placement == ask->placement;
        return is_same ? i : -1;
    }
    return -1;
}

/* 0, or how long the session's minute is still full. */
static int64_t wait_of_session(struct model *model, const struct ask *ask)
{
    int count = 0;
    for (int i = model->events_count - 1; i >= 0; i--) {
        const struct event *event = &model->events[i];
        if (!same_session(model, event, ask)) continue;
        int64_t end_ms = event->ask.at_ms + model->rules.minute_ms;
        if (has_passed(model, ask->at_ms, end_ms)) return 0;
        if (++count == model->rules.feedbacks_per_minute) return end_ms - ask->at_ms;
    }
    return 0;
}

static void decide_ad_feedback(struct model *model, const struct ask *ask,
                               struct expected *expected)
{
    expect(expected, 200, NULL);
    expected->holder = find_said(model, ask);
    if (expected->holder >= 0) return;
    int64_t wait_ms = wait_of_session(model, ask);
    if (!wait_ms && count_of_ad(model, EVENT_AD_FEEDBACK, ask->ad) >= model->rules.per_bid_max)
        wait_ms = model->rules.impression_ttl_ms;
    if (wait_ms)
        expect_limited(expected, FLAT("rate_limited", "Rate limit exceeded"), wait_ms);
    else
        record(model, EVENT_AD_FEEDBACK, ask, -1, expected);
}

uint32_t model_votes(const struct model *model, int poll, int option)
{
    uint32_t count = 0;
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        count += event->kind == EVENT_VOTE && model->ads[event->ask.ad].poll == poll &&
                 event->ask.option == option;
    }
    return count;
}

static void expect_results(const struct model *model, int poll, int selected,
                           struct expected *expected)
{
    const struct poll_texts *texts = &model->polls[poll];
    uint32_t votes[OPTIONS_MAX + 1];
    for (int option = 1; option <= OPTIONS_MAX; option++)
        votes[option] = model_votes(model, poll, option);
    expect(expected, 200, NULL);
    expected->has_body = true;
    words_results(expected->body, sizeof expected->body, poll, texts->options, texts->text,
                  selected, votes);
}

static bool has_voted(const struct model *model, const struct ask *ask)
{
    if (!model->rules.vote_per_poll) return find_of_ad(model, EVENT_VOTE, ask->ad) >= 0;
    return model_votes(model, model->ads[ask->ad].poll, ask->option) > 0;
}

static void decide_poll(struct model *model, const struct ask *ask, struct expected *expected)
{
    int poll = model->ads[ask->ad].poll;
    if (!poll_is_live(model, poll))
        expect(expected, 401, poll_token_invalid);
    else if (ask->kind == ASK_RESULTS)
        expect_results(model, poll, 0, expected);
    else if (!(model->polls[poll].options >> ask->option & 1))
        expect(expected, 400, option_invalid);
    else if (has_voted(model, ask))
        expect(expected, 409, POLL("duplicate_vote", "A vote was already recorded for this bid."));
    else {
        record(model, EVENT_VOTE, ask, -1, expected);
        expect_results(model, poll, ask->option, expected);
    }
}

static void decide_poll_put(struct model *model, const struct ask *ask, struct expected *expected)
{
    struct poll_texts *poll = &model->polls[ask->poll];
    expect(expected, 409, NULL);
    for (int option = 1; option <= OPTIONS_MAX; option++)
        if (!(ask->options >> option & 1) && model_votes(model, ask->poll, option)) return;
    expect(expected, 200, NULL);
    *poll = (struct poll_texts){.exists = true, .options = ask->options, .text = ask->text};
}

static void decide_key_create(struct model *model, const struct ask *ask, struct expected *expected)
{
    struct key *key = &model->keys[ask->key];
    expect(expected, key->exists ? 409 : 200, NULL);
    if (key->exists) return;
    *key = (struct key){.key_class = ask->key_class,
                        .partner = ask->partner,
                        .publisher = ask->publisher,
                        .advertiser = ask->advertiser,
                        .expires_ms = ask->key_expires_ms,
                        .exists = true};
    if (ask->key == model->keys_count) model->keys_count++;
}

static void decide_key_revoke(struct model *model, const struct ask *ask, struct expected *expected)
{
    struct key *key = &model->keys[ask->key];
    expect(expected, key->exists ? 200 : 404, NULL);
    key->revoked = key->exists;
}

static void decide_rotate(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 200, NULL);
    model->token_keys[ask->token_key].state = TOKEN_KEY_LIVE;
    model->minting = ask->token_key;
}

static void decide_retire(struct model *model, const struct ask *ask, struct expected *expected)
{
    struct known_token_key *key = &model->token_keys[ask->token_key];
    bool is_known = key->state == TOKEN_KEY_LIVE;
    bool mints = ask->token_key == model->minting;
    expect(expected, !is_known ? 404 : mints ? 409 : 200, NULL);
    if (is_known && !mints) key->state = TOKEN_KEY_RETIRED;
}

void model_decide(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect_nothing(expected);
    switch (ask->kind) {
    case ASK_CONVERSION_V1:
    case ASK_CONVERSION_API:
        decide_conversion(model, ask, expected);
        break;
    case ASK_COLLECT:
        decide_collect(model, ask, expected);
        break;
    case ASK_REDIRECT:
    case ASK_TRACK_CLICK:
        decide_click(model, ask, expected);
        break;
    case ASK_VIEW:
    case ASK_ACK:
    case ASK_TRACK_IMP:
        decide_impression(model, ask, expected);
        break;
    case ASK_FEEDBACK:
        decide_feedback(model, ask, expected);
        break;
    case ASK_AD_FEEDBACK:
        decide_ad_feedback(model, ask, expected);
        break;
    case ASK_VOTE:
    case ASK_RESULTS:
        decide_poll(model, ask, expected);
        break;
    case ASK_POLL_PUT:
        decide_poll_put(model, ask, expected);
        break;
    case ASK_POLL_WITHDRAW:
        expect(expected, model->polls[ask->poll].exists ? 200 : 404, NULL);
        model->polls[ask->poll].withdrawn = model->polls[ask->poll].exists;
        break;
    case ASK_KEY_CREATE:
        decide_key_create(model, ask, expected);
        break;
    case ASK_KEY_REVOKE:
        decide_key_revoke(model, ask, expected);
        break;
    case ASK_ROTATE:
        decide_rotate(model, ask, expected);
        break;
    case ASK_RETIRE:
        decide_retire(model, ask, expected);
        break;
    default:
        expect(expected, 0, NULL); /* never goes to the ledger */
    }
}

static bool wrong(char *why, size_t size, const char *what, const char *wanted, const char *got)
{
    snprintf(why, size, "%s is %.300s, and should be %.300s", what, got, wanted);
    return false;
}

static bool wrong_number(char *why, size_t size, const char *what, int64_t wanted, int64_t got)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%" PRId64, wanted);
    snprintf(texts[1], sizeof texts[1], "%" PRId64, got);
    return wrong(why, size, what, texts[0], texts[1]);
}

static bool id_is_taken(const struct model *model, const char *id, int holder)
{
    for (int i = 0; i < model->events_count; i++)
        if (i != holder && strcmp(model->events[i].id, id) == 0) return true;
    return false;
}

static bool receipt_is_taken(const struct model *model, uint64_t receipt, int holder)
{
    for (int i = 0; i < model->events_count; i++)
        if (i != holder && model->events[i].receipt == receipt) return true;
    return false;
}

/* A new event's, or the one of an event that stands, as whoever asked first was told. */
static bool take_receipt(struct model *model, int holder, uint64_t receipt, char *why, size_t size)
{
    struct event *event = &model->events[holder];
    if (!receipt) return wrong(why, size, "the receipt", "there", "missing");
    if (receipt_is_taken(model, receipt, holder))
        return wrong(why, size, "the receipt", "of this event", "another event's");
    if (event->receipt && event->receipt != receipt)
        return wrong(why, size, "the receipt", "the one of before", "a new one");
    event->receipt = receipt;
    return true;
}

static bool take_id(struct model *model, int holder, const char *id, char *why, size_t size)
{
    struct event *event = &model->events[holder];
    if (id_is_taken(model, id, holder))
        return wrong(why, size, "the id", "of this event", "another event's");
    if (event->id[0] && strcmp(event->id, id) != 0)
        return wrong(why, size, "the id", event->id, id);
    snprintf(event->id, sizeof event->id, "%s", id);
    return true;
}

static bool take_click(struct model *model, const struct ask *ask, int holder,
                       const struct answer *answer, char *why, size_t size)
{
    char id[UUID_TEXT], wanted[LOCATION_TEXT];
    int64_t end_s = (ask->at_ms + model->rules.click_ttl_ms) / 1000;
    if (!words_read_click(id, answer->location))
        return wrong(why, size, "Location", "with a click id", answer->location);
    const struct ad *ad = &model->ads[ask->ad];
    words_clicked(wanted, sizeof wanted, ask, ad->click_has_no_bid ? NULL : ad->bid, id, end_s,
                  answer->location);
    if (strcmp(wanted, answer->location) != 0)
        return wrong(why, size, "Location", wanted, answer->location);
    return take_id(model, holder, id, why, size);
}

static bool take_feedback(struct model *model, int holder, const struct answer *answer, char *why,
                          size_t size)
{
    char id[UUID_TEXT];
    if (!words_read_feedback(id, answer->body))
        return wrong(why, size, "the body", "with a feedbackId", answer->body);
    return take_id(model, holder, id, why, size);
}

static bool take_what_is_new(struct model *model, const struct ask *ask,
                             const struct expected *expected, const struct answer *answer,
                             char *why, size_t size)
{
    int holder = expected->holder;
    if (holder < 0) return true;
    bool is_other =
        expected->or_holder >= 0 && model->events[expected->or_holder].receipt == answer->receipt;
    if (is_other) holder = expected->or_holder;
    if (expected->has_receipt) return take_receipt(model, holder, answer->receipt, why, size);
    if (is_redirect(ask)) return take_click(model, ask, holder, answer, why, size);
    if (ask->kind == ASK_AD_FEEDBACK) return take_feedback(model, holder, answer, why, size);
    return true;
}

bool model_check(struct model *model, const struct ask *ask, const struct expected *expected,
                 const struct answer *answer, char *why, size_t size)
{
    if (answer->status != expected->status)
        return wrong_number(why, size, "the status", expected->status, answer->status);
    if (answer->retry_after_s != expected->retry_after_s)
        return wrong_number(why, size, "Retry-After", expected->retry_after_s,
                            answer->retry_after_s);
    if (expected->has_body && strcmp(answer->body, expected->body) != 0)
        return wrong(why, size, "the body", expected->body, answer->body);
    if (expected->has_location && strcmp(answer->location, expected->location) != 0)
        return wrong(why, size, "Location", expected->location, answer->location);
    return take_what_is_new(model, ask, expected, answer, why, size);
}

void model_restart(struct model *model)
{
    model->degraded = false;
    for (int i = 0; i < model->keys_count; i++)
        model->keys[i].due_us = 0;
    memset(model->client_due_us, 0, sizeof model->client_due_us);
}
