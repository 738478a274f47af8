#include "api_fakes.h"

#include "base/clock.h"
#include "base/limits.h"
#include "event/datetime.h"
#include "event/text.h"
#include "fuzz.h"
#include "json_oracle.h"
#include "token/claims.h"
#include "token/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests through the real handlers, with the fakes of the unit tests around them. Whatever comes:
 * one answer, of a status that the route knows, well-formed, saying nothing of what the client sent
 * when it refuses; a refusal hands nothing to the ledger. What is handed over says what jansson
 * finds in the body, in the limits of the contract; and the rules of feedback are told a second
 * time.
 *
 * Input: bytes that choose the route, what the ledger says and the headers; with a token in play
 * its claims (a length and that many bytes; none: those of an ad that works); then the body or the
 * query. A byte 1 in these stands for a token of the route. */

enum { TEXT_MAX = 16 * 1024, TARGET_MAX = 8192 };

static const char canary[] = "cAnArY7391";

/* -- the routes ------------------------------------------------------------------------------- */

struct subject {
    const char *path;
    enum http_method method;
    const char *key_header, *key;
    enum purpose token; /* that its requests may carry; PURPOSE_COUNT: none */
    const char *statuses;
};

#define PARTNER "Authorization", "Bearer main"
#define NO_KEY NULL, NULL

static const struct subject subjects[] = {
    {"/v1/api/conversion", HTTP_POST, PARTNER, PURPOSE_COUNT, "200 400 404 422 503"},
    {"/api/conversion", HTTP_POST, PARTNER, PURPOSE_COUNT, "200 400 404 422 503"},
    {"/v1/api/collect", HTTP_POST, PARTNER, PURPOSE_COUNT, "204 400 422 503"},
    {"/api/v1/tracking/feedback", HTTP_POST, NO_KEY, PURPOSE_COUNT, "204 404 422 500"},
    {"/ad-feedback", HTTP_POST, "X-API-Key", "app", PURPOSE_ACK, "200 422 429 503"},
    {"/v1/mint", HTTP_POST, "Authorization", "Bearer ads", PURPOSE_COUNT, "200 413 422 503"},
    {"/api/v1/tracking/sponsored-polls/vote", HTTP_POST, NO_KEY, PURPOSE_VOTE,
     "200 400 401 409 500"},
    {"/api/v1/tracking/sponsored-polls/results", HTTP_GET, NO_KEY, PURPOSE_RESULTS,
     "200 400 401 409 500"},
    {"/api/v1/tracking/redirect", HTTP_GET, NO_KEY, PURPOSE_CLICK, "302 404 503"},
    {"/track/click", HTTP_GET, NO_KEY, PURPOSE_CLICK, "302 404 503"},
    {"/api/v1/tracking/view", HTTP_GET, NO_KEY, PURPOSE_VIEW, "200 404 503"},
    {"/ack", HTTP_GET, NO_KEY, PURPOSE_ACK, "200 404 503"},
};

/* Linked instead of base/clock.c: it stands still, so that the claims in the corpus never expire.
 */
static const int64_t now_ms = 1795262400000; /* 2026-11-21T12:00:00Z */

int64_t clock_wall_ms(void)
{
    return now_ms;
}

int64_t clock_mono_ms(void)
{
    return now_ms;
}

int64_t clock_mono_us(void)
{
    return now_ms * 1000;
}

enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static bool is_click(const struct subject *subject)
{
    return subject->token == PURPOSE_CLICK;
}

/* -- making a request ---------------------------------------------------------------------------
 */

/* Claims that do, for an hour from now. */
static size_t write_claims(char *out, size_t size)
{
    char memory[32];
    struct writer exp;
    writer_init(&exp, memory, sizeof memory);
    datetime_write(&exp, now_ms + 3600000);
    return (size_t)snprintf(out, size,
                            "{\"bid\":\"b\",\"pub\":\"pub\",\"url\":\"https://shop.example/?a#b\","
                            "\"pol\":7,\"exp\":\"%.*s\"}",
                            SPAN_FMT(writer_text(&exp)));
}

/* With the key of the fakes' keyring, which is all zeros. */
static struct span make_token(const struct subject *subject, struct span claims)
{
    static char memory[4 * TEXT_MAX];
    static const struct paseto_key key;
    static const uint8_t nonce[PASETO_NONCE_SIZE];
    char usual[512];
    struct writer out;
    if (claims.len == 0) claims = (struct span){usual, write_claims(usual, sizeof usual)};
    writer_init(&out, memory, sizeof memory);
    paseto_encrypt(&out, &key, nonce, claims, SPAN("{\"kid\":\"kid00001\"}"),
                   purpose_assertion(subject->token));
    require(!out.overflow, "a token without room");
    return writer_text(&out);
}

/* `text` with each byte 1 replaced by the token; of a query, only what a target may hold. */
static struct span put_token(char *out, size_t size, struct span text, struct span token,
                             bool is_query)
{
    struct writer writer;
    writer_init(&writer, out, size);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == 1 && token.ptr)
            writer_put(&writer, token);
        else if (!is_query || (c > ' ' && c < 0x7f && c != '#'))
            writer_char(&writer, c);
    }
    return writer_text(&writer);
}

static void add_headers(const struct subject *subject, uint8_t choice)
{
    static const char *const keys[] = {NULL, NULL, "order-1", "\"quoted\"", "a b", "", "\"x", "k"};
    static const char *const types[] = {"application/json", "application/json",
                                        "Application/JSON; charset=utf-8", "text/plain"};
    if (subject->key) fake_header(subject->key_header, subject->key);
    if (keys[choice % 8]) fake_header("Idempotency-Key", keys[choice % 8]);
    fake_header("Content-Type", types[choice / 8 % 4]);
    if (choice & 32) fake_header("Referer", "https://Page.Example./x");
    if (choice & 64) fake_header("Sec-Purpose", "prefetch");
    if (choice & 128) fake_header("User-Agent", "agent cAnArY7391 \xc3\xa9");
}

/* -- what every answer is ------------------------------------------------------------------------
 */

static struct span kept_body(void)
{
    return (struct span){fake.body, fake.body_len};
}

static bool is_whole(void)
{
    return fake.body_len < sizeof fake.body;
}

static void check_status(const struct subject *subject)
{
    char text[8];
    if (lies("status")) fake.status = 418;
    snprintf(text, sizeof text, "%d", fake.status);
    require(strstr(subject->statuses, text) != NULL, "a status that the route does not know");
    bool is_refusal = fake.status >= 400 && fake.status < 500;
    bool was_recorded = fake.submitted && fake.outcome == OUTCOME_RECORDED;
    if (lies("recorded")) was_recorded = true;
    require(!is_refusal || !was_recorded, "a refusal of what is recorded");
    require(fake.status >= 300 || !fake.submitted || fake.outcome == OUTCOME_RECORDED ||
                fake.outcome == OUTCOME_DUPLICATE,
            "an acknowledgement of what is not recorded");
}

/* Name: value, of visible characters and spaces; so that nothing can begin a line of its own. */
static void check_lines(void)
{
    struct span rest = span_of(fake.lines);
    if (lies("lines")) rest.len--;
    while (rest.len > 0) {
        const char *end = memmem(rest.ptr, rest.len, "\r\n", 2);
        require(end != NULL, "a header line without an end");
        struct span line = {rest.ptr, (size_t)(end - rest.ptr)};
        require(memmem(line.ptr, line.len, ": ", 2) != NULL, "a header line without a name");
        for (size_t i = 0; i < line.len; i++)
            require(line.ptr[i] >= ' ' && line.ptr[i] < 0x7f, "a control character in a header");
        rest = (struct span){end + 2, rest.len - line.len - 2};
    }
}

static void check_body(void)
{
    enum json_oracle_verdict verdict;
    struct json_oracle *root;
    if (!is_whole()) return;
    if (fake.status >= 400 && lies("echo")) memcpy(fake.body, canary, sizeof canary - 1);
    require(fake.status < 400 || !memmem(fake.body, fake.body_len, canary, sizeof canary - 1),
            "a refusal says what the client sent");
    if (!strstr(fake.lines, "Content-Type: application/json")) return;
    if (lies("json")) fake.body_len--;
    root = json_oracle_load(fake.body, fake.body_len, &verdict);
    require(root != NULL, "an answer that is no JSON");
    json_oracle_free(root);
}

/* -- what is handed to the ledger
 * ------------------------------------------------------------------ */

/* A text of the body as jansson has it; absent when it is null or blank, or no text. */
static struct span text_in(const struct json_oracle *root, const char *name)
{
    struct span text = SPAN_NONE;
    struct json_oracle *member = json_oracle_member(root, name, strlen(name));
    if (member) text.ptr = json_oracle_text(member, &text.len);
    return text.ptr && !text_is_blank(text) ? text : SPAN_NONE;
}

static void check_text(const struct json_oracle *root, const char *name, struct span ours,
                       size_t len_max, bool has_default)
{
    struct span theirs = text_in(root, name);
    if (lies("text") && ours.len) ours.len--;
    require(ours.len <= len_max, "a text past its limit");
    if (theirs.ptr || !has_default)
        require((ours.ptr != NULL) == (theirs.ptr != NULL) && span_eq(ours, theirs),
                "another text");
}

static void check_object(struct span text, const char *what)
{
    enum json_oracle_verdict verdict;
    if (!text.ptr) return;
    struct json_oracle *root = json_oracle_load(text.ptr, text.len, &verdict);
    require(root || verdict == ORACLE_OVERFLOWED, what);
    require(!root || json_oracle_type(root) == ORACLE_OBJECT, what);
    json_oracle_free(root);
}

static void check_conversion(const struct json_oracle *root, const struct conversion *ours)
{
    check_text(root, "click_id", ours->click_id, LIMIT_ID, false);
    check_text(root, "conversion_time", ours->conversion_time, 64, false);
    check_text(root, "event_type", ours->event_type, LIMIT_EVENT_NAME, true);
    check_text(root, "order_id", ours->order_id, LIMIT_ID, false);
    check_text(root, "event_id", ours->event_id, LIMIT_ID, false);
    check_text(root, "page_url", ours->page_url, LIMIT_URL, false);
    check_text(root, "user_agent", ours->user_agent, LIMIT_USER_AGENT, false);
    check_text(root, "session_id", ours->session_id, LIMIT_ID, false);
    check_text(root, "client_id", ours->client_id, LIMIT_ID, false);
    check_text(root, "tag_id", ours->tag_id, LIMIT_ID, true);
    struct json_oracle *value = json_oracle_member(root, "conversion_value", 16);
    double sum = (double)ours->value.units + (double)ours->value.nanos / 1e9;
    if (lies("amount")) sum += 1;
    require(value != NULL, "an amount from nowhere");
    double theirs = json_oracle_type(value) == ORACLE_INTEGER ? (double)json_oracle_integer(value)
                                                              : json_oracle_real(value);
    double difference = theirs > sum ? theirs - sum : sum - theirs;
    require(difference <= 2e-9 + (theirs > 0 ? theirs : -theirs) * 1e-15, "another amount");
    require(ours->currency.len == 3 && ours->click_id.ptr && ours->conversion_time.ptr,
            "a required field is missing");
    for (size_t i = 0; i < 3; i++)
        require(ours->currency.ptr[i] >= 'A' && ours->currency.ptr[i] <= 'Z', "a currency");
    check_object(ours->params, "params that are no object");
}

static void check_event(const struct json_oracle *root, const struct server_event *ours)
{
    check_text(root, "event_name", ours->event_name, LIMIT_EVENT_NAME, false);
    check_text(root, "event_id", ours->event_id, LIMIT_ID, false);
    check_text(root, "tag_id", ours->tag_id, LIMIT_ID + 8, true);
    check_text(root, "page_url", ours->page_url, LIMIT_URL, false);
    check_text(root, "bid_id", ours->bid_id, LIMIT_ID, false);
    check_text(root, "click_id", ours->click_id, LIMIT_ID, false);
    check_text(root, "attribution_type", ours->attribution_type, LIMIT_ID, false);
    require(ours->event_name.ptr && ours->tag_id.len > 0, "a required field is missing");
    struct json_oracle *time = json_oracle_member(root, "timestamp", 9);
    if (time && json_oracle_type(time) == ORACLE_INTEGER)
        require(json_oracle_integer(time) == ours->timestamp, "another timestamp");
    check_object(ours->consent, "consent that is no object");
    check_object(ours->params, "params that are no object");
    enum json_oracle_verdict verdict;
    struct json_oracle *params = json_oracle_load(ours->params.ptr, ours->params.len, &verdict);
    struct json_oracle *partner = params ? json_oracle_member(params, "partner_id", 10) : NULL;
    if (lies("stamp")) partner = NULL;
    require(!params || (partner && json_oracle_string_is(partner, "acme", 4)), "no stamp");
    json_oracle_free(params);
}

static void check_ad_feedback(const struct json_oracle *root, const struct ad_feedback *ours)
{
    check_text(root, "sessionId", ours->sent_session_id, LIMIT_ID, false);
    check_text(root, "userId", ours->sent_user_id, LIMIT_ID, false);
    check_text(root, "placement", ours->sent_placement, LIMIT_ID, false);
    check_text(root, "sentiment", ours->sentiment, 11, false);
    check_text(root, "comment", ours->comment, 4 * LIMIT_COMMENT_CHARACTERS, false);
    require(span_eq(ours->ad.publisher_id, SPAN("pub")), "an ad of another publisher");
    check_object(ours->device, "a device that is no object");
}

static void check_op(const struct subject *subject, struct span body)
{
    enum json_oracle_verdict verdict;
    const struct op *op = &fake.op;
    if (subject->method == HTTP_GET || op->kind == OP_VOTE) return;
    struct json_oracle *root = json_oracle_load(body.ptr, body.len, &verdict);
    require(root || verdict == ORACLE_OVERFLOWED, "an op of what is no JSON");
    if (!root) return;
    require(json_oracle_type(root) == ORACLE_OBJECT, "an op of what is no object");
    if (op->kind == OP_CONVERSION) check_conversion(root, &op->conversion);
    if (op->kind == OP_SERVER_EVENT) check_event(root, &op->server_event);
    if (op->kind == OP_AD_FEEDBACK) check_ad_feedback(root, &op->ad_feedback);
    json_oracle_free(root);
}

/* -- the rules of feedback, a second time
 * ----------------------------------------------------------- */

static bool is_text_or_null(const struct json_oracle *root, const char *name)
{
    struct json_oracle *member = json_oracle_member(root, name, strlen(name));
    return !member || json_oracle_type(member) == ORACLE_NULL ||
           json_oracle_type(member) == ORACLE_STRING;
}

static size_t count_characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool is_good_feedback(const struct json_oracle *root)
{
    if (!root || json_oracle_type(root) != ORACLE_OBJECT) return false;
    struct span bid = text_in(root, "bid_id"), type = text_in(root, "feedback_type");
    bool is_type = span_eq(type, SPAN("positive")) || span_eq(type, SPAN("negative"));
    return bid.ptr && bid.len <= 256 && is_type && is_text_or_null(root, "feedback_text") &&
           count_characters(text_in(root, "feedback_text")) <= 1000;
}

/* Where jansson is more lenient, it has no say: deep documents and NUL bytes. */
static bool may_judge(struct span body)
{
    size_t open = 0;
    for (size_t i = 0; i < body.len; i++)
        open += body.ptr[i] == '[' || body.ptr[i] == '{';
    return open <= LIMIT_JSON_DEPTH && !memchr(body.ptr, '\0', body.len);
}

static void check_feedback(struct span body, bool is_json)
{
    enum json_oracle_verdict verdict;
    struct json_oracle *root = json_oracle_load(body.ptr, body.len, &verdict);
    bool expected = is_json && is_good_feedback(root);
    bool accepted = (fake.op.kind == OP_FEEDBACK) ^ lies("feedback");
    json_oracle_free(root);
    if (verdict != ORACLE_OVERFLOWED && may_judge(body))
        require(accepted == expected, "another verdict on feedback");
}

/* -- one request ---------------------------------------------------------------------------------
 */

struct asked {
    const struct subject *subject;
    enum outcome outcome;
    uint8_t headers;
    bool by_head;
    char target[TARGET_MAX];
    struct span body;
};

static void run(const struct asked *asked)
{
    bool is_head = asked->by_head && asked->subject->method == HTTP_GET;
    fake.poll = (struct poll){.id = 7,
                              .question = SPAN("q"),
                              .options = {{SPAN("0"), SPAN("a")}, {SPAN("1"), SPAN("\"b\"")}},
                              .options_count = 2};
    fake_reset(is_head ? HTTP_HEAD : asked->subject->method, asked->target);
    add_headers(asked->subject, asked->headers);
    fake.outcome = asked->outcome;
    fake_run_text(asked->body);
    if (lies("answers")) fake.answers_count++;
    require(fake.answers_count == 1, "not one answer");
}

/* Ids are made for each request, and minting is all ids. */
static bool is_repeatable(const struct subject *subject)
{
    return !is_click(subject) && strcmp(subject->path, "/ad-feedback") != 0 &&
           strcmp(subject->path, "/v1/mint") != 0;
}

static void check_repeated(const struct asked *asked)
{
    static char body[sizeof fake.body];
    int status = fake.status;
    size_t len = fake.body_len;
    if (!is_repeatable(asked->subject) || !is_whole()) return;
    memcpy(body, fake.body, len);
    run(asked);
    if (lies("repeated")) fake.status++;
    require(fake.status == status && span_eq(kept_body(), (struct span){body, len}),
            "the same request is answered otherwise");
}

static enum outcome choose_outcome(struct choices *from)
{
    static const enum outcome outcomes[] = {
        OUTCOME_RECORDED,    OUTCOME_RECORDED, OUTCOME_DUPLICATE,   OUTCOME_NOT_FOUND,
        OUTCOME_MISSING_BID, OUTCOME_LIMITED,  OUTCOME_UNAVAILABLE, OUTCOME_PENDING};
    return outcomes[choose_below(from, sizeof outcomes / sizeof outcomes[0])];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char memory[TEXT_MAX];
    static bool is_started;
    if (!is_started) is_started = hash_start();
    struct choices from = {bytes, size};
    static struct asked asked;
    asked.subject = &subjects[choose_below(&from, SUBJECTS)];
    asked.outcome = choose_outcome(&from);
    asked.headers = choose_byte(&from);
    asked.by_head = choose_byte(&from) % 4 == 3;
    bool has_token = asked.subject->token != PURPOSE_COUNT;
    bool is_get = asked.subject->method == HTTP_GET;
    struct span token = SPAN_NONE;
    if (has_token) token = make_token(asked.subject, choose_text(&from, 255));
    struct span text = put_token(memory, sizeof memory, choose_rest(&from), token, is_get);
    int len = snprintf(asked.target, sizeof asked.target, "%s", asked.subject->path);
    if (is_get)
        snprintf(asked.target + len, sizeof asked.target - (size_t)len, "?%.*s", SPAN_FMT(text));
    asked.body = own_copy(is_get ? SPAN("") : text);

    run(&asked);
    check_status(asked.subject);
    check_lines();
    check_body();
    if (fake.submitted) check_op(asked.subject, asked.body);
    if (strstr(asked.subject->path, "tracking/feedback"))
        check_feedback(asked.body, asked.headers / 8 % 4 != 3);
    check_repeated(&asked);
    own_free(asked.body);
    return 0;
}
