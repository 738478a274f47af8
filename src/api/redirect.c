#include "api/ad_token.h"
#include "api/answer.h"
#include "api/pages.h"
#include "api/visitor.h"
#include "base/limits.h"
#include "event/query.h"
#include "token/hash.h"

#include <string.h>

/* GET /api/v1/tracking/redirect and GET /track/click (contract section 4): the way to an
 * advertiser. Whoever clicks arrives; a click id is in the URL only when the click is durable. */

enum {
    /* The landing URL stands as it is; each byte of a bid may take three. */
    LOCATION_MAX = LIMIT_LANDING_URL + 3 * LIMIT_ID + 512,
    PAIRS_MAX = 5,
    SECONDS_TEXT_MAX = 20,
};

/* One of the two redirects. */
struct landing {
    struct span route;     /* as it is stored */
    struct span parameter; /* where the token is */
    bool adds_click_id;    /* also under the name that Gravity's pages read */
};

static const struct landing redirect = {SPAN_INIT("redirect"), SPAN_INIT("token"), false};
static const struct landing track_click = {SPAN_INIT("click"), SPAN_INIT("p"), true};

static void fill(struct click *click, struct api_request *request, const struct claims *claims,
                 const struct landing *landing)
{
    uint8_t random[10];
    rng_take(&request->loop->random, random, sizeof random);
    struct ad_facts ad = ad_token_facts(claims);
    *click = (struct click){
        .id = uuid_make_v7(request->now_ms, random),
        .expires_at_ms = request->now_ms + request->loop->settings.options.click_ttl_ms,
        .ad = ad,
        .visitor = visitor_who_clicks(request, ad.campaign_id.ptr ? ad.campaign_id : claims->url),
        .landing_url = claims->url,
        .route = landing->route,
    };
}

static void handle(struct api_request *request, const struct landing *landing)
{
    struct claims claims;
    if (!ad_token_of_query(&claims, request, landing->parameter, PURPOSE_CLICK)) {
        answer_refusal(request, REJECT_NOT_FOUND);
        return;
    }
    const struct http_request *http = request->http;
    if (http->method == HTTP_HEAD || claims.exp_ms <= request->now_ms ||
        visitor_is_prefetch(http)) {
        answer_redirect(request, claims.url);
        return;
    }
    request->op.kind = OP_CLICK;
    fill(&request->op.click, request, &claims, landing);
    api_submit(request);
}

/* thrad_sig: over what a landing page may be told by nobody else. */
static void sign(struct writer *out, const struct api_request *request, struct span click_id,
                 struct span exp)
{
    char memory[UUID_TEXT_LEN + SECONDS_TEXT_MAX + LIMIT_ID + 2];
    struct writer message;
    writer_init(&message, memory, sizeof memory);
    writer_put(&message, click_id);
    writer_char(&message, '.');
    writer_put(&message, exp);
    writer_char(&message, '.');
    writer_put(&message, request->op.click.ad.bid_id);
    uint8_t signature[HASH_HMAC_SIZE];
    hash_hmac_sha256(signature, keyring_click_hmac_key(request->loop->api->keyring),
                     writer_text(&message));
    writer_hex(out, signature, sizeof signature);
}

static void answer_recorded(struct api_request *request, const struct landing *landing)
{
    const struct click *click = &request->op.click;
    char click_id[UUID_TEXT_LEN], seconds[SECONDS_TEXT_MAX], hex[2 * HASH_HMAC_SIZE];
    struct writer exp, signature, location;
    struct span id = {click_id, sizeof click_id};
    uuid_write(click_id, &click->id);
    writer_init(&exp, seconds, sizeof seconds);
    writer_i64(&exp, click->expires_at_ms / 1000);
    writer_init(&signature, hex, sizeof hex);
    sign(&signature, request, id, writer_text(&exp));
    const struct query_pair pairs[PAIRS_MAX] = {
        {SPAN("thrad_click_id"), id},
        {SPAN("thrad_exp"), writer_text(&exp)},
        {SPAN("thrad_sig"), writer_text(&signature)},
        {SPAN("thrad_bid_id"), click->ad.bid_id},
        {SPAN("click_id"), id},
    };
    char *memory = arena_alloc(request->http->arena, LOCATION_MAX);
    writer_init(&location, memory, memory ? LOCATION_MAX : 0);
    query_add(&location, click->landing_url, pairs,
              landing->adds_click_id ? PAIRS_MAX : PAIRS_MAX - 1);
    if (location.overflow)
        answer_refusal(request, REJECT_UNAVAILABLE);
    else
        answer_redirect(request, writer_text(&location));
}

static void on_answer(struct api_request *request, const struct landing *landing)
{
    if (request->op.outcome == OUTCOME_RECORDED)
        answer_recorded(request, landing);
    else
        answer_redirect(request, request->op.click.landing_url);
}

void redirect_handle(struct api_request *request)
{
    handle(request, &redirect);
}

void redirect_on_answer(struct api_request *request)
{
    on_answer(request, &redirect);
}

void track_click_handle(struct api_request *request)
{
    handle(request, &track_click);
}

void track_click_on_answer(struct api_request *request)
{
    on_answer(request, &track_click);
}
