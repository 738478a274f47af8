#include "model_internal.h"

/* Of the model, what people who run the server change, and what it does for itself. */

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

static int64_t longer_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What docs/data.md promises to keep; whether it goes as soon as it may is the store's affair. */
static void decide_retain(struct model *model, const struct ask *ask, struct expected *expected)
{
    const struct rules *rules = &model->rules;
    int64_t clicks_ms = longer_ms(ask->keep_ms, rules->click_ttl_ms);
    int64_t impressions_ms = longer_ms(ask->keep_ms, rules->impression_ttl_ms);
    int64_t kept_ms[EVENT_KINDS] = {
        [EVENT_CLICK] = clicks_ms + rules->click_ttl_ms,
        [EVENT_CONVERSION] = clicks_ms,
        [EVENT_SERVER] = longer_ms(ask->keep_ms, rules->collect_window_ms),
        [EVENT_IMPRESSION] = impressions_ms + rules->impression_ttl_ms,
        [EVENT_FEEDBACK] = impressions_ms,
        [EVENT_AD_FEEDBACK] = impressions_ms,
    };
    expect(expected, 200, NULL);
    for (int kind = 0; kind < EVENT_VOTE; kind++) {
        int64_t before_ms = ask->at_ms - kept_ms[kind] - rules->keep_leeway_ms;
        if (before_ms > model->gone_before_ms[kind]) model->gone_before_ms[kind] = before_ms;
    }
}

static void decide_erase(struct model *model, const struct ask *ask, struct expected *expected)
{
    expect(expected, 200, NULL);
    for (int i = 0; i < ask->erased_count; i++)
        model->events[ask->erased[i]].is_erased = !model->rules.forget_erasure;
}

void decide_command(struct model *model, const struct ask *ask, struct expected *expected)
{
    switch (ask->kind) {
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
    case ASK_RETAIN:
        decide_retain(model, ask, expected);
        break;
    case ASK_ERASE:
        decide_erase(model, ask, expected);
        break;
    default:
        expect(expected, 0, NULL); /* never goes to the ledger */
    }
}
