#include "model_internal.h"

/* What is decided before the ledger: the key, the rate, the body, the token. */

enum { SECOND_US = 1000000 };

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

static uint32_t rate_of(const struct model *model, uint32_t rate)
{
    return model->rules.double_rates ? 2 * rate : rate;
}

/* The key of this class, NULL for every other reason alike. */
static struct key *find_key(struct model *model, const struct ask *ask, enum key_class key_class)
{
    if (ask->key < 0) return NULL;
    struct key *key = &model->keys[ask->key];
    bool revoked = key->revoked && !model->rules.forget_revocation;
    if (!key->exists || key->key_class != key_class || revoked) return NULL;
    int64_t end_ms = key->expires_ms + model->rules.key_leeway_ms;
    return key->expires_ms && has_passed(model, ask->at_ms, end_ms) ? NULL : key;
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
             !take_allowance(&key->due_us, rate_of(model, model->rules.rate_limit),
                             ask->mono_ms * 1000, &wait_ms))
        expect_limited(expected, DETAIL("Rate limit exceeded"), wait_ms);
    else
        return true;
    return false;
}

static bool admit_client(struct model *model, const struct ask *ask, struct expected *expected)
{
    int64_t wait_ms;
    uint32_t rate = rate_of(model, model->rules.client_rate_limit);
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
    expect_landing(expected, ask->ad);
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
        expect(expected, 401, POLL_TOKEN_INVALID);
    else if (ask->kind == ASK_VOTE && (ask->flaw || !ask->option))
        expect(expected, 400, OPTION_INVALID);
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
