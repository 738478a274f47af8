#include "model_internal.h"

#include "words.h"

#include <string.h>

bool is_poll(const struct ask *ask)
{
    return ask->kind == ASK_VOTE || ask->kind == ASK_RESULTS;
}

bool is_redirect(const struct ask *ask)
{
    return ask->kind == ASK_REDIRECT || ask->kind == ASK_TRACK_CLICK;
}

bool is_command(const struct ask *ask)
{
    return ask->kind >= ASK_KEY_CREATE;
}

void expect(struct expected *expected, int status, const char *body)
{
    expected->status = status;
    expected->has_body = body != NULL;
    words_copy(expected->body, sizeof expected->body, body ? body : "");
}

void expect_nothing(struct expected *expected)
{
    expected->retry_after_s = expected->holder = -1;
    expected->has_body = expected->has_location = expected->has_receipt = expected->is_new = false;
}

void expect_limited(struct expected *expected, const char *body, int64_t wait_ms)
{
    expect(expected, 429, body);
    expected->retry_after_s = (int)((wait_ms + 999) / 1000);
}

void expect_landing(struct expected *expected, int ad)
{
    expect(expected, 302, NULL);
    expected->has_location = true;
    words_landing(expected->location, sizeof expected->location, ad);
}

bool has_passed(struct model *model, int64_t now_ms, int64_t end_ms)
{
    if (now_ms < end_ms) return false;
    model->expiries++;
    return true;
}

void model_unavailable(const struct ask *ask, struct expected *expected)
{
    expect_nothing(expected);
    if (is_redirect(ask)) {
        expect_landing(expected, ask->ad);
        return;
    }
    expect(expected, is_poll(ask) || ask->kind == ASK_FEEDBACK ? 500 : 503, NULL);
    if (!is_command(ask)) expected->retry_after_s = 1;
}

bool poll_is_live(const struct model *model, int poll)
{
    return poll >= 0 && model->polls[poll].exists && !model->polls[poll].withdrawn;
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

static int find_collected(struct model *model, const struct ask *ask)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        if (same_collect_key(model, event, ask) &&
            !has_passed(model, ask->at_ms, event->ask.at_ms + model->rules.collect_window_ms))
            return i;
    }
    return -1;
}

/* Where the wall clock was set back, more than one may stand for a key: any that is not old by
 * the wall clock and by the time that passed, both. The store knows that time to an age mark. */
enum { AGE_MARK_MS = 12 * 3600 * 1000 };

static int find_any_collected(const struct model *model, const struct ask *ask, uint64_t receipt)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        int64_t window_ms = model->rules.collect_window_ms;
        bool is_old = ask->at_ms >= event->ask.at_ms + window_ms &&
                      ask->mono_ms >= event->ask.mono_ms + window_ms + AGE_MARK_MS;
        if (event->receipt == receipt && same_collect_key(model, event, ask) && !is_old) return i;
    }
    return -1;
}

void model_settle_doubt(struct model *model, const struct ask *ask, const struct answer *answer,
                        struct expected *expected)
{
    if (ask->kind != ASK_COLLECT || !answer->receipt || expected->holder < 0) return;
    int holder = find_any_collected(model, ask, answer->receipt);
    if (holder < 0) return;
    if (expected->is_new) model->events_count--;
    expected->is_new = false;
    expected->holder = holder;
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
    if (click->ask.kind == ASK_IMPORT && !rules->forget_import_end) last_ms = click->ask.end_ms;
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
    expected->holder = find_collected(model, ask);
    if (expected->holder < 0) record(model, EVENT_SERVER, ask, -1, expected);
}

static void decide_click(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 302, NULL);
    if (model->ads[ask->ad].click_has_no_bid ||
        count_of_ad(model, EVENT_CLICK, ask->ad) < model->rules.per_bid_max)
        record(model, EVENT_CLICK, ask, -1, expected);
    else
        expect_landing(expected, ask->ad);
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
    return event->kind == EVENT_AD_FEEDBACK && !event->is_erased &&
           event->ask.session == ask->session &&
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
        expect(expected, 401, POLL_TOKEN_INVALID);
    else if (ask->kind == ASK_RESULTS)
        expect_results(model, poll, 0, expected);
    else if (!(model->polls[poll].options >> ask->option & 1))
        expect(expected, 400, OPTION_INVALID);
    else if (has_voted(model, ask))
        expect(expected, 409, POLL("duplicate_vote", "A vote was already recorded for this bid."));
    else {
        record(model, EVENT_VOTE, ask, -1, expected);
        expect_results(model, poll, ask->option, expected);
    }
}

bool model_may_be_gone(const struct model *model, const struct event *event)
{
    return event->ask.at_ms < model->gone_before_ms[event->kind];
}

static bool is_imported(const struct model *model, int import)
{
    for (int i = 0; i < model->events_count; i++)
        if (model->events[i].ask.kind == ASK_IMPORT && model->events[i].ask.import == import)
            return !model->rules.forget_import;
    return false;
}

/* A click of elsewhere keeps its id and its end. */
static void decide_import(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 200, NULL);
    if (is_imported(model, ask->import)) return;
    if (ask->end_ms <= ask->at_ms)
        expect(expected, 404, NULL);
    else if (ask->end_ms > ask->at_ms + model->rules.click_ttl_ms)
        expect(expected, 409, NULL);
    else if (count_of_ad(model, EVENT_CLICK, ask->ad) >= model->rules.per_bid_max)
        expect(expected, 429, NULL);
    else {
        record(model, EVENT_CLICK, ask, -1, expected);
        words_import(model->events[expected->holder].id, ask->import);
    }
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
    case ASK_IMPORT:
        decide_import(model, ask, expected);
        break;
    default:
        decide_command(model, ask, expected);
    }
}

void model_restart(struct model *model)
{
    model->degraded = false;
    for (int i = 0; i < model->keys_count; i++)
        model->keys[i].due_us = 0;
    memset(model->client_due_us, 0, sizeof model->client_due_us);
}
