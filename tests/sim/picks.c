#include "picks.h"

#include "seams.h"

static const int64_t HOUR_MS = 60 * 60 * 1000;

/* 0 for what is left out, else 1..max. */
static int pick_number(int max)
{
    return (int)dice_below((uint32_t)max + 1);
}

static int pick_ad(const struct model *model)
{
    int count = model->ads_count;
    if (count == 0 || dice_in(40)) return -1;
    int latest = count < 4 ? count : 4;
    return dice_in(3) ? (int)dice_below((uint32_t)count)
                      : count - 1 - (int)dice_below((uint32_t)latest);
}

static int pick_key(const struct model *model, enum key_class key_class)
{
    int found = KEY_UNKNOWN, seen = 0;
    if (dice_in(40)) return KEY_NONE;
    bool any_class = dice_in(25);
    for (int i = 0; i < model->keys_count; i++) {
        const struct key *key = &model->keys[i];
        if (!key->exists || (key->key_class != key_class && !any_class)) continue;
        bool works = !key->revoked && !key->expires_ms;
        if ((works || dice_in(5)) && dice_in((uint32_t)++seen)) found = i;
    }
    return found;
}

/* A click whose id somebody was told. */
static int pick_click(const struct model *model)
{
    int found = -1, seen = 0;
    if (dice_in(25)) return -1;
    for (int i = 0; i < model->events_count; i++)
        if (model->events[i].kind == EVENT_CLICK && model->events[i].id[0] &&
            dice_in((uint32_t)++seen))
            found = i;
    return found;
}

enum token_use picks_token(enum ask_kind kind)
{
    switch (kind) {
    case ASK_REDIRECT:
    case ASK_TRACK_CLICK:
        return TOKEN_CLICK;
    case ASK_VIEW:
        return TOKEN_VIEW;
    case ASK_VOTE:
        return TOKEN_VOTE;
    case ASK_RESULTS:
        return TOKEN_RESULTS;
    default:
        return TOKEN_ACK;
    }
}

static void pick_token(const struct model *model, struct ask *ask)
{
    ask->ad = pick_ad(model);
    ask->token = picks_token(ask->kind);
    if (dice_in(30)) ask->token = (enum token_use)dice_below(TOKEN_USES);
    ask->garbled = dice_in(30);
    bool is_get = ask->kind >= ASK_REDIRECT && ask->kind <= ASK_TRACK_IMP;
    ask->is_head = is_get && dice_in(20);
    ask->is_prefetch = is_get && dice_in(25);
}

static void pick_conversion(const struct model *model, struct ask *ask)
{
    ask->key = pick_key(model, KEY_PARTNER);
    ask->click = pick_click(model);
    ask->event_type = dice_in(3) ? pick_number(2) : 0;
    ask->idempotency_key = dice_in(2) ? pick_number(3) : 0;
    ask->event_id = dice_in(2) ? pick_number(3) : 0;
    ask->order_id = pick_number(3);
    ask->value = 100 + (int)dice_below(900);
}

static void pick_ad_feedback(const struct model *model, struct ask *ask)
{
    pick_token(model, ask);
    ask->key = pick_key(model, KEY_PUBLISHER);
    ask->session = 1 + (int)dice_below(3);
    ask->sentiment = (int)dice_below(2);
    ask->reasons = pick_number(2);
    ask->comment = dice_in(3) ? pick_number(2) : 0;
    ask->placement = dice_in(4);
}

static void pick_mint(const struct model *model, struct ask *ask)
{
    static const int ttls_s[] = {1, 60, 600, 3600, 36000};
    ask->key = pick_key(model, KEY_ADSERVER);
    ask->ad = model->ads_count;
    ask->publisher = 1 + (int)dice_below(2);
    ask->advertiser = pick_number(2);
    ask->poll = dice_in(3) ? (int)dice_below(POLLS_MAX) : -1;
    int longest_s = (int)(model->rules.impression_ttl_ms / 1000);
    ask->ttl_s = dice_in(3) ? longest_s : ttls_s[dice_below(sizeof ttls_s / sizeof ttls_s[0])];
    if (ask->ttl_s > longest_s) ask->ttl_s = longest_s;
}

static void pick_new_key(const struct model *model, struct ask *ask, int64_t now_ms)
{
    ask->key = dice_in(5) ? (int)dice_below((uint32_t)model->keys_count) : model->keys_count;
    ask->key_class = dice_in(2) ? KEY_PARTNER : (enum key_class)dice_below(3);
    if (ask->key_class == KEY_PARTNER) ask->partner = 1 + (int)dice_below(2);
    if (ask->key_class == KEY_PARTNER && dice_in(3)) ask->advertiser = 1 + (int)dice_below(2);
    if (ask->key_class == KEY_PUBLISHER) ask->publisher = 1 + (int)dice_below(2);
    ask->key_expires_ms = dice_in(2) ? now_ms + 1 + (int64_t)dice_below(7200) * 1000 : 0;
}

/* Two at least, so that a put is one; mostly what the poll has already, and some more. */
static uint32_t pick_options(const struct model *model, int poll)
{
    uint32_t all = (1u << (OPTIONS_MAX + 1)) - 2, options;
    do
        options = dice_below(all + 1) & all;
    while ((options & (options - 1)) == 0);
    return dice_in(3) ? options : options | model->polls[poll].options;
}

static bool token_keys_are_clear(const struct model *model)
{
    for (int i = 0; i < model->token_keys_count; i++)
        if (model->token_keys[i].state == TOKEN_KEY_MAYBE) return false;
    return true;
}

/* The keys that ads are minted with last live longest: retiring is rare enough for them. */
static bool pick_token_key(const struct model *model, struct ask *ask)
{
    if (!token_keys_are_clear(model)) return false;
    ask->token_key = ask->kind == ASK_ROTATE ? model->token_keys_count
                                             : (int)dice_below((uint32_t)model->token_keys_count);
    return ask->token_key < TOKEN_KEYS;
}

static void add_erased(const struct model *model, struct ask *ask, int index)
{
    ask->rows[ask->erased_count] = model->events[index].sequence;
    ask->erased[ask->erased_count++] = index;
}

/* All feedback of a session, as the command does it, once its minute is over: until then the store
 * knows it by its rows and by its window. */
static bool pick_erased_session(const struct model *model, struct ask *ask, int index,
                                int64_t now_ms)
{
    const struct event *of = &model->events[index];
    int64_t last_ms = now_ms - 2 * model->rules.minute_ms;
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        if (event->kind != EVENT_AD_FEEDBACK || event->is_gone || event->is_erased ||
            event->ask.session != of->ask.session || event->publisher != of->publisher)
            continue;
        bool is_settled = event->sequence && event->ask.at_ms < last_ms;
        if (!is_settled || ask->erased_count == ERASE_MAX) return false;
        add_erased(model, ask, i);
    }
    return true;
}

/* Rows that were seen: who erases a person has found them. */
static bool pick_erased(const struct model *model, struct ask *ask, int64_t now_ms)
{
    if (!model->events_count) return false;
    int index = (int)dice_below((uint32_t)model->events_count);
    ask->erased_kind = (int)model->events[index].kind;
    if (ask->erased_kind == EVENT_AD_FEEDBACK)
        return pick_erased_session(model, ask, index, now_ms);
    for (int i = index; i < model->events_count && ask->erased_count < ERASE_MAX; i++)
        if ((int)model->events[i].kind == ask->erased_kind && model->events[i].sequence)
            add_erased(model, ask, i);
    return ask->erased_count > 0;
}

/* Long after its life nobody knows whether it was there: no one asks. */
static bool may_be_forgotten(const struct model *model, int import, int64_t now_ms)
{
    for (int i = 0; i < model->events_count; i++) {
        const struct ask *ask = &model->events[i].ask;
        if (ask->kind == ASK_IMPORT && ask->import == import &&
            now_ms >= ask->at_ms + model->rules.click_ttl_ms)
            return true;
    }
    return false;
}

/* Some have ended, and some end later than a click may. */
static bool pick_import(const struct model *model, struct ask *ask, int64_t now_ms)
{
    enum { IMPORTS = 40, DAY_S = 24 * 60 * 60 };
    int64_t ttl_ms = model->rules.click_ttl_ms;
    ask->ad = pick_ad(model);
    if (ask->ad < 0 || model->ads[ask->ad].click_has_no_bid) return false;
    ask->publisher = model->ads[ask->ad].publisher;
    ask->advertiser = model->ads[ask->ad].advertiser;
    ask->import = 1 + (int)dice_below(IMPORTS);
    ask->happened_ms = now_ms - (int64_t)dice_below(DAY_S) * 1000;
    ask->end_ms = now_ms + 1 + (int64_t)(dice_roll() % (uint64_t)ttl_ms);
    if (dice_in(8)) ask->end_ms = now_ms + (dice_in(2) ? 0 : ttl_ms + 1);
    return !may_be_forgotten(model, ask->import, now_ms);
}

bool picks_fill(const struct model *model, struct ask *ask, int64_t now_ms)
{
    switch (ask->kind) {
    case ASK_CONVERSION_V1:
    case ASK_CONVERSION_API:
        pick_conversion(model, ask);
        return true;
    case ASK_COLLECT:
        ask->key = pick_key(model, KEY_PARTNER);
        ask->tag = 1 + (int)dice_below(2);
        ask->event_id = pick_number(4);
        return true;
    case ASK_FEEDBACK:
        ask->ad = pick_ad(model);
        ask->sentiment = (int)dice_below(2);
        ask->comment = pick_number(2);
        return true;
    case ASK_AD_FEEDBACK:
        pick_ad_feedback(model, ask);
        return true;
    case ASK_VOTE:
        ask->option = pick_number(OPTIONS_MAX);
        pick_token(model, ask);
        return true;
    case ASK_MINT:
        pick_mint(model, ask);
        return model->ads_count < ADS_MAX;
    case ASK_KEY_CREATE:
        pick_new_key(model, ask, now_ms);
        return ask->key < KEYS_MAX;
    case ASK_KEY_REVOKE:
        ask->key = (int)dice_below((uint32_t)model->keys_count);
        return ask->key > 2; /* the first of each class stay */
    case ASK_ROTATE:
    case ASK_RETIRE:
        return pick_token_key(model, ask);
    case ASK_POLL_PUT:
        ask->poll = (int)dice_below(POLLS_MAX);
        ask->options = pick_options(model, ask->poll);
        ask->text = 1 + (int)dice_below(3);
        return true;
    case ASK_POLL_WITHDRAW:
        ask->poll = (int)dice_below(POLLS_MAX);
        return true;
    case ASK_RETAIN:
        ask->keep_ms = (1 + (int64_t)dice_below(dice_in(3) ? 24 * 30 : 24)) * HOUR_MS;
        ask->rows_max = 1 + (int)dice_below(dice_in(2) ? 8 : 256);
        return true;
    case ASK_ERASE:
        ask->is_last = dice_in(3);
        return pick_erased(model, ask, now_ms);
    case ASK_IMPORT:
        return pick_import(model, ask, now_ms);
    default:
        pick_token(model, ask);
        return true;
    }
}
