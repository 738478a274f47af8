#include "words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Appends to a text that always fits: the numbers are small. */
static void add(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(char *out, size_t size, const char *format, ...)
{
    va_list rest;
    size_t len = strlen(out);
    va_start(rest, format);
    /* clang-tidy 14 knows va_start only in the first file of a run. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(out + len, size - len, format, rest);
    va_end(rest);
}

void words_copy(char *out, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

const char *words_spell(char *out, size_t size, const char *name, int number, const char *absent)
{
    words_copy(out, size, number ? name : absent);
    if (number) add(out, size, "%d", number);
    return out;
}

struct span words_name(char out[24], const char *name, int number)
{
    return number ? span_of(words_spell(out, 24, name, number, "")) : SPAN_NONE;
}

static const char *const kind_names[ASK_KINDS] = {
    "conversion_v1", "conversion_api", "collect",    "redirect",    "track_click", "view",
    "ack",           "track_imp",      "feedback",   "ad_feedback", "vote",        "results",
    "mint",          "health",         "key_create", "key_revoke",  "rotate",      "retire",
    "poll_put",      "poll_withdraw",  "retain",     "erase",       "import"};

const char *words_kind(enum ask_kind kind)
{
    return kind_names[kind];
}

static const char *const event_types[] = {NULL, "signup", "lead"};

void words_secret(char *out, size_t size, int key)
{
    snprintf(out, size, "secret-of-simulated-key-%03d", key);
}

void words_import(char id[UUID_TEXT], int import)
{
    snprintf(id, UUID_TEXT, "0f0f0f0f-0000-4000-8000-%012d", import);
}

void words_landing(char *out, size_t size, int ad)
{
    snprintf(out, size, "https://shop.example/item/%d?from=chat", ad);
}

/* The signature is not ours to compute: it is taken as it came. */
void words_clicked(char *out, size_t size, const struct ask *ask, const char *bid, const char *id,
                   int64_t end_s, const char *signed_like)
{
    enum { SIGNATURE_LEN = 64 };
    const char *signature = strstr(signed_like, "&thrad_sig=");
    words_landing(out, size, ask->ad);
    add(out, size, "&thrad_click_id=%s&thrad_exp=%" PRId64, id, end_s);
    add(out, size, "&thrad_sig=%.*s", SIGNATURE_LEN,
        signature ? signature + strlen("&thrad_sig=") : "");
    if (bid) add(out, size, "&thrad_bid_id=%s", bid);
    if (ask->kind == ASK_TRACK_CLICK) add(out, size, "&click_id=%s", id);
}

/* Tenths of a percent, halves up. */
static void add_percentage(char *out, size_t size, uint32_t votes, uint32_t total)
{
    uint32_t tenths = total ? (votes * 2000 + total) / (total * 2) : 0;
    if (tenths % 10)
        add(out, size, "%u.%u", tenths / 10, tenths % 10);
    else
        add(out, size, "%u", tenths / 10);
}

void words_results(char *out, size_t size, int poll, uint32_t options, int text, int selected,
                   const uint32_t votes[OPTIONS_MAX + 1])
{
    uint32_t total = 0;
    const char *comma = "";
    for (int option = 1; option <= OPTIONS_MAX; option++)
        total += votes[option];
    snprintf(out, size, "{\"sponsored_poll_id\":%d", poll);
    if (selected) add(out, size, ",\"selected_option_id\":\"o%d\"", selected);
    add(out, size, ",\"total_votes\":%u,\"options\":[", total);
    for (int option = 1; option <= OPTIONS_MAX; option++) {
        if (!(options >> option & 1)) continue;
        add(out, size, "%s{\"id\":\"o%d\",\"text\":\"option %d of text %d\",\"votes\":%u", comma,
            option, option, text, votes[option]);
        add(out, size, ",\"percentage\":");
        add_percentage(out, size, votes[option], total);
        add(out, size, "}");
        comma = ",";
    }
    add(out, size, "]}");
}

/* `len` characters behind `before`. */
static bool read_behind(char *out, size_t len, const char *text, const char *before)
{
    const char *at = strstr(text, before);
    if (!at || strlen(at) < strlen(before) + len) return false;
    memcpy(out, at + strlen(before), len);
    out[len] = '\0';
    return true;
}

bool words_read_click(char id[UUID_TEXT], const char *location)
{
    return read_behind(id, UUID_TEXT - 1, location, "thrad_click_id=");
}

bool words_read_feedback(char id[UUID_TEXT], const char *body)
{
    char wanted[128];
    if (!read_behind(id, UUID_TEXT - 1, body, "\"feedbackId\":\"")) return false;
    snprintf(wanted, sizeof wanted, "{\"status\":\"ok\",\"feedbackId\":\"%s\"}", id);
    return strcmp(wanted, body) == 0;
}

bool words_read_member(char *out, size_t size, const char *body, const char *before)
{
    const char *at = strstr(body, before), *end;
    if (!at) return false;
    at += strlen(before);
    end = strchr(at, '"');
    if (!end || (size_t)(end - at) >= size) return false;
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    return true;
}

#define BODY out->body, sizeof out->body
#define TARGET out->target, sizeof out->target

/* Both are empty at first. */
static void add_conversion(struct words_request *out, const struct ask *ask, const char *click_id)
{
    add(TARGET, "%s", ask->kind == ASK_CONVERSION_V1 ? "/v1/api/conversion" : "/api/conversion");
    add(BODY, "{\"click_id\":\"%s\",\"conversion_time\":\"2026-03-01T10:00:00Z\"", click_id);
    add(BODY, ",\"conversion_value\":%d.%02d", ask->value / 100, ask->value % 100);
    if (ask->flaw != FLAW_MISSING)
        add(BODY, ",\"currency\":%s", ask->flaw == FLAW_TYPE ? "5" : "\"USD\"");
    if (ask->event_type) add(BODY, ",\"event_type\":\"%s\"", event_types[ask->event_type]);
    if (ask->order_id) add(BODY, ",\"order_id\":\"o%d\"", ask->order_id);
    if (ask->event_id) add(BODY, ",\"event_id\":\"e%d\"", ask->event_id);
    if (ask->idempotency_key)
        snprintf(out->idempotency_key, sizeof out->idempotency_key, "e%d", ask->idempotency_key);
}

static void add_collect(struct words_request *out, const struct ask *ask)
{
    add(TARGET, "/v1/api/collect");
    add(BODY, "{\"timestamp\":1700000000");
    if (ask->flaw != FLAW_MISSING) add(BODY, ",\"event_name\":\"page_view\"");
    if (ask->flaw == FLAW_TYPE)
        add(BODY, ",\"tag_id\":7");
    else
        add(BODY, ",\"tag_id\":\"tag%d\"", ask->tag);
    if (ask->event_id) add(BODY, ",\"event_id\":\"e%d\"", ask->event_id);
}

static void add_feedback(struct words_request *out, const struct ask *ask, const char *bid)
{
    add(TARGET, "/api/v1/tracking/feedback");
    add(BODY, "{\"bid_id\":\"%s\"", bid);
    if (ask->flaw != FLAW_MISSING)
        add(BODY, ",\"feedback_type\":\"%s\"",
            ask->flaw == FLAW_TYPE ? "great"
            : ask->sentiment       ? "positive"
                                   : "negative");
    if (ask->comment) add(BODY, ",\"feedback_text\":\"comment %d\"", ask->comment);
}

static void add_ad_feedback(struct words_request *out, const struct ask *ask, const char *token)
{
    add(TARGET, "/ad-feedback");
    add(BODY, "{\"sessionId\":\"session%d\",\"impUrl\":\"https://pub.example/i?x=1&p=%s\"",
        ask->session, token);
    if (ask->flaw != FLAW_MISSING)
        add(BODY, ",\"sentiment\":\"%s\"",
            ask->flaw == FLAW_TYPE ? "great"
            : ask->sentiment       ? "thumbs_up"
                                   : "thumbs_down");
    if (ask->reasons) add(BODY, ",\"reasons\":[\"reason %d\",\"other\"]", ask->reasons);
    if (ask->comment) add(BODY, ",\"comment\":\"comment %d\"", ask->comment);
    if (ask->placement) add(BODY, ",\"placement\":\"placement%d\"", ask->placement);
}

static void add_vote(struct words_request *out, const struct ask *ask, const char *token)
{
    add(TARGET, "/api/v1/tracking/sponsored-polls/vote");
    if (ask->ad >= 0) add(TARGET, "?token=%s", token);
    add(BODY, "{\"unlisted\":1");
    if (ask->option && ask->flaw != FLAW_MISSING)
        add(BODY, ask->flaw == FLAW_TYPE ? ",\"option_id\":%d" : ",\"option_id\":\"o%d\"",
            ask->option);
}

static void add_mint(struct words_request *out, const struct ask *ask, const char *bid)
{
    char landing[LOCATION_TEXT];
    words_landing(landing, sizeof landing, ask->ad);
    add(TARGET, "/v1/mint");
    add(BODY, "{\"ads\":[{\"campaign_id\":\"campaign\"");
    if (ask->flaw != FLAW_MISSING) add(BODY, ",\"publisher_id\":\"publisher%d\"", ask->publisher);
    if (ask->advertiser) add(BODY, ",\"advertiser_id\":\"advertiser%d\"", ask->advertiser);
    if (ask->poll >= 0) add(BODY, ",\"poll_id\":%d", ask->poll);
    if (bid[0]) add(BODY, ",\"bid_id\":\"%s\"", bid);
    add(BODY, ask->flaw == FLAW_TYPE ? ",\"ttl\":\"%d\"" : ",\"ttl\":%d", ask->ttl_s);
    add(BODY, ",\"landing_url\":\"%s\"}]", landing);
}

static void add_get(struct words_request *out, const struct ask *ask, const char *token)
{
    static const char *const paths[ASK_KINDS] = {
        [ASK_REDIRECT] = "/api/v1/tracking/redirect?token=",
        [ASK_TRACK_CLICK] = "/track/click?p=",
        [ASK_VIEW] = "/api/v1/tracking/view?token=",
        [ASK_ACK] = "/ack?p=",
        [ASK_TRACK_IMP] = "/track/imp?p=",
        [ASK_RESULTS] = "/api/v1/tracking/sponsored-polls/results?token=",
        [ASK_HEALTH] = "/health?",
    };
    add(TARGET, "%s%s", paths[ask->kind], ask->ad >= 0 ? token : "");
}

static void add_body_or_target(struct words_request *out, const struct ask *ask,
                               const struct words_texts *texts)
{
    switch (ask->kind) {
    case ASK_CONVERSION_V1:
    case ASK_CONVERSION_API:
        add_conversion(out, ask, texts->click_id);
        break;
    case ASK_COLLECT:
        add_collect(out, ask);
        break;
    case ASK_FEEDBACK:
        add_feedback(out, ask, texts->bid);
        break;
    case ASK_AD_FEEDBACK:
        add_ad_feedback(out, ask, texts->token);
        break;
    case ASK_VOTE:
        add_vote(out, ask, texts->token);
        break;
    case ASK_MINT:
        add_mint(out, ask, texts->bid);
        break;
    default:
        add_get(out, ask, texts->token);
    }
}

void words_write(struct words_request *out, const struct ask *ask, const struct words_texts *texts)
{
    char secret[64];
    out->target[0] = out->body[0] = '\0';
    out->authorization[0] = out->api_key[0] = out->idempotency_key[0] = '\0';
    add_body_or_target(out, ask, texts);
    out->is_post = out->body[0] != '\0';
    if (out->is_post && ask->flaw != FLAW_MALFORMED) add(BODY, "}");
    if (ask->key == KEY_NONE) return;
    words_secret(secret, sizeof secret, ask->key);
    if (ask->kind == ASK_AD_FEEDBACK)
        snprintf(out->api_key, sizeof out->api_key, "%s", secret);
    else
        snprintf(out->authorization, sizeof out->authorization, "Bearer %s", secret);
}
