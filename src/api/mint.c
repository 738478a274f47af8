#include "api/mint.h"

#include "api/answer.h"
#include "api/body.h"
#include "api/pages.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "event/text.h"

#include <stdlib.h>
#include <string.h>

/* POST /v1/mint (contract section 6): the reading half, the route, and minting without HTTP. */

enum {
    PUBLISHER_ID,
    CAMPAIGN_ID,
    PRODUCT_ID,
    CREATIVE_ID,
    ADVERTISER_ID,
    USER_ID,
    SESSION_ID,
    PLACEMENT,
    PRICE,
    CURRENCY,
    PRICING,
    LANDING_URL,
    POLL_ID,
    BID_ID,
    TTL,
    VALUES_COUNT,
};

enum {
    ARENA_ALIGN = 16,
    PROBLEM_TEXT_MAX = 160,
    MEMBER_LEN_MIN = 8,
    TTL_DEFAULT_S = 7 * 24 * 60 * 60
};

/* One minting, whoever asked for it. */
struct mint {
    struct api *api;
    const struct api_options *options;
    struct arena *arena;
    struct span host; /* of the request; absent when it named none */
    struct mint_base base;
    struct problems problems;
    int64_t now_ms;
    int64_t ttl_max_s;
};

static void check_price(const struct fields_reader *reader, const struct field *field,
                        struct field_value *value)
{
    uint8_t type = reader->doc->tokens[value->token].type;
    struct amount amount;
    if (type != JSON_STRING && type != JSON_NUMBER)
        fields_problem(reader, field, PROBLEM_NUMBER, "Input should be a decimal string or number");
    else if (!amount_parse_price(&amount, value->text))
        fields_problem(reader, field, PROBLEM_VALUE,
                       "Input should be a plain decimal that is not negative");
}

static void check_pricing(const struct fields_reader *reader, const struct field *field,
                          struct field_value *value)
{
    fields_literal(reader, field, value, SPAN("cpm"), SPAN("cpc"),
                   "Input should be 'cpm' or 'cpc'");
}

static void check_landing_url(const struct fields_reader *reader, const struct field *field,
                              struct field_value *value)
{
    if (fields_text(reader, field, value, LIMIT_LANDING_URL) && !text_is_landing_url(value->text))
        fields_problem(reader, field, PROBLEM_VALUE, "Input should be an http or https URL");
}

static void check_poll_id(const struct fields_reader *reader, const struct field *field,
                          struct field_value *value)
{
    static const char msg[] = "poll does not exist";
    const struct mint *mint = reader->page;
    struct pollbook *pollbook = ledger_pollbook(mint->api->ledger);
    if (fields_integer(reader, field, value, INT64_MAX, msg) &&
        !pollbook_find(pollbook, value->number))
        fields_problem(reader, field, PROBLEM_VALUE, msg);
}

static void check_ttl(const struct fields_reader *reader, const struct field *field,
                      struct field_value *value)
{
    static const char msg[] = "Input should be seconds, 1 to impression_ttl";
    const struct mint *mint = reader->page;
    if (fields_integer(reader, field, value, (unsigned long long)mint->ttl_max_s, msg) &&
        value->number < 1)
        fields_problem(reader, field, PROBLEM_VALUE, msg);
}

/* clang-format off */
static const struct field rows[] = {
    {SPAN_INIT("publisher_id"),  PUBLISHER_ID,  FIELD_ID, true},
    {SPAN_INIT("campaign_id"),   CAMPAIGN_ID,   FIELD_ID},
    {SPAN_INIT("product_id"),    PRODUCT_ID,    FIELD_ID},
    {SPAN_INIT("creative_id"),   CREATIVE_ID,   FIELD_ID},
    {SPAN_INIT("advertiser_id"), ADVERTISER_ID, FIELD_ID},
    {SPAN_INIT("user_id"),       USER_ID,       FIELD_ID},
    {SPAN_INIT("session_id"),    SESSION_ID,    FIELD_ID},
    {SPAN_INIT("placement"),     PLACEMENT,     FIELD_ID},
    {SPAN_INIT("price"),         PRICE,         FIELD_CHECKED, .check = check_price},
    {SPAN_INIT("currency"),      CURRENCY,      FIELD_CURRENCY},
    {SPAN_INIT("pricing"),       PRICING,       FIELD_CHECKED, .check = check_pricing},
    {SPAN_INIT("landing_url"),   LANDING_URL,   FIELD_CHECKED, .check = check_landing_url},
    {SPAN_INIT("poll_id"),       POLL_ID,       FIELD_CHECKED, .check = check_poll_id},
    {SPAN_INIT("bid_id"),        BID_ID,        FIELD_ID},
    {SPAN_INIT("ttl"),           TTL,           FIELD_CHECKED, .check = check_ttl},
};

static const struct field root_rows[] = {{SPAN_INIT("ads"), 0, FIELD_ARRAY, true}};
/* clang-format on */

static const struct fields ad_fields = {rows, sizeof rows / sizeof rows[0]};
static const struct fields root_fields = {root_rows, 1};

/* A bid id for an ad that came without one; absent when the arena is full. */
static struct span make_bid(struct mint *mint)
{
    uint8_t random[10];
    char *text = arena_alloc(mint->arena, UUID_TEXT_LEN);
    if (!text) {
        mint->problems.overflow = true;
        return SPAN_NONE;
    }
    rng_fill(random, sizeof random);
    struct uuid uuid = uuid_make_v7(mint->now_ms, random);
    uuid_write(text, &uuid);
    return (struct span){text, UUID_TEXT_LEN};
}

static void fill(struct mint_ad *ad, struct mint *mint, const struct field_value *values)
{
    struct pollbook *pollbook = ledger_pollbook(mint->api->ledger);
    ad->poll = values[POLL_ID].token ? pollbook_find(pollbook, values[POLL_ID].number) : NULL;
    int64_t ttl_s = TTL_DEFAULT_S < mint->ttl_max_s ? TTL_DEFAULT_S : mint->ttl_max_s;
    if (values[TTL].token) ttl_s = values[TTL].number;
    ad->claims = (struct claims){
        .bid = values[BID_ID].text.ptr ? values[BID_ID].text : make_bid(mint),
        .pub = values[PUBLISHER_ID].text,
        .cam = values[CAMPAIGN_ID].text,
        .prd = values[PRODUCT_ID].text,
        .crt = values[CREATIVE_ID].text,
        .adv = values[ADVERTISER_ID].text,
        .usr = values[USER_ID].text,
        .ses = values[SESSION_ID].text,
        .plc = values[PLACEMENT].text,
        .prc = values[PRICE].text,
        .cur = values[CURRENCY].text,
        .mod = values[PRICING].text,
        .url = values[LANDING_URL].text,
        .pol = ad->poll ? ad->poll->id : -1,
        .exp_ms = mint->now_ms + ttl_s * 1000,
    };
}

static void add_problem(struct mint *mint, enum problem_type type, struct place place,
                        const char *msg)
{
    problems_add(&mint->problems, &(struct problem){.type = type, .place = place, .msg = msg});
}

static struct place place_of_ad(uint32_t index)
{
    return (struct place){.part = SPAN("body"), .list = SPAN("ads"), .index = index};
}

static void read_ads(struct mint_ads *ads, struct mint *mint, const struct json_doc *doc,
                     uint32_t list)
{
    struct fields_reader reader = {
        .doc = doc, .arena = mint->arena, .problems = &mint->problems, .page = mint};
    uint32_t token = list + 1;
    for (uint32_t i = 0; i < ads->count; i++, token = doc->tokens[token].end) {
        struct field_value values[VALUES_COUNT] = {0};
        reader.place = place_of_ad(i);
        if (doc->tokens[token].type != JSON_OBJECT) {
            add_problem(mint, PROBLEM_OBJECT, reader.place, NULL);
            continue;
        }
        fields_read(&reader, &ad_fields, token, values);
        fill(&ads->ads[i], mint, values);
    }
}

/* The list of ads and its length; 0 when there is none of a usable length. */
static uint32_t find_ads(uint32_t *count, struct mint *mint, const struct json_doc *doc)
{
    struct place place = {.part = SPAN("body"), .name = SPAN("ads")};
    struct fields_reader reader = {.doc = doc,
                                   .arena = mint->arena,
                                   .problems = &mint->problems,
                                   .place = {.part = SPAN("body")}};
    struct field_value list = {0};
    fields_read(&reader, &root_fields, 0, &list);
    if (!list.token || doc->tokens[list.token].type != JSON_ARRAY) return 0;
    *count = 0;
    uint32_t end = doc->tokens[list.token].end;
    for (uint32_t token = list.token + 1; token < end; token = doc->tokens[token].end)
        ++*count;
    if (*count > 0 && *count <= LIMIT_MINT_ADS_COUNT) return list.token;
    add_problem(mint, PROBLEM_VALUE, place,
                *count ? "List should have at most 500 items" : "List should have at least 1 item");
    return 0;
}

static bool host_is_safe(struct span host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i], lower = (char)(c | 0x20);
        bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || !strchr(".-_:[]", c))) return false;
    }
    return host.len > 0 && host.len <= MINT_BASE_MAX;
}

static void find_base(struct mint *mint)
{
    struct place place = {.part = SPAN("header"), .name = SPAN("host")};
    mint->base = (struct mint_base){.scheme = mint->options->public_url, .host = SPAN("")};
    if (mint->base.scheme.ptr) return;
    mint->base = (struct mint_base){.scheme = SPAN("http://"), .host = mint->host};
    if (mint->host.len == 0)
        add_problem(mint, PROBLEM_MISSING, place, NULL);
    else if (!host_is_safe(mint->host))
        add_problem(mint, PROBLEM_VALUE, place, "Host should be a plain host and port");
}

static void start_mint(struct mint *mint, struct api *api, const struct api_options *options,
                       struct arena *arena, struct span host, int64_t now_ms)
{
    *mint = (struct mint){.api = api,
                          .options = options,
                          .arena = arena,
                          .host = host,
                          .now_ms = now_ms,
                          .ttl_max_s = options->impression_ttl_ms / 1000};
}

/* What an ad may take besides its part of the answer: its claims, the values' copies without
 * escapes, and a problem for each of its members and for the one that is missing. */
static size_t ad_memory_max(size_t ad_len)
{
    size_t problems = 1 + ad_len / MEMBER_LEN_MIN;
    if (problems > VALUES_COUNT) problems = VALUES_COUNT;
    return sizeof(struct mint_ad) + ad_len + (VALUES_COUNT + 2) * ARENA_ALIGN +
           problems * (sizeof(struct problem) + ARENA_ALIGN + PROBLEM_TEXT_MAX);
}

static size_t memory_max(const struct mint *mint, const struct json_doc *doc, uint32_t list)
{
    size_t size = LIMIT_URL;
    for (uint32_t token = list + 1; token < doc->tokens[list].end; token = doc->tokens[token].end) {
        size_t ad_len = json_raw(doc, token).len;
        size += ad_memory_max(ad_len) + mint_answer_max(ad_len, &mint->base);
    }
    return size;
}

static void add_too_long(struct mint *mint, const struct mint_ads *ads)
{
    for (uint32_t i = 0; i < ads->count; i++)
        if (ads->ads[i].url_too_long)
            add_problem(mint, PROBLEM_VALUE, place_of_ad(i),
                        "A URL of this ad would be longer than 6 KiB");
}

/* The answer; absent with problems that say why. */
static struct span finish(struct mint *mint, const struct json_doc *doc, uint32_t list,
                          uint32_t count)
{
    struct mint_ads ads = {arena_alloc(mint->arena, count * sizeof *ads.ads), count};
    mint->problems.overflow |= !ads.ads;
    if (ads.ads) read_ads(&ads, mint, doc, list);
    if (mint->problems.count > 0 || mint->problems.overflow) return SPAN_NONE;
    struct writer out;
    writer_init(&out, mint->arena->base + mint->arena->used, arena_room(mint->arena));
    if (!mint_write(&out, &ads, &mint->base, mint->api->keyring)) {
        add_too_long(mint, &ads);
        return SPAN_NONE;
    }
    mint->problems.overflow = out.overflow;
    if (out.overflow) return SPAN_NONE;
    arena_alloc(mint->arena, out.len);
    return writer_text(&out);
}

void mint_handle(struct api_request *request)
{
    struct http_request *http = request->http;
    struct fields_reader reader;
    struct json_doc doc;
    struct mint mint;
    uint32_t list = 0, count = 0;
    struct span answer = SPAN_NONE;
    start_mint(&mint, request->loop->api, &request->loop->settings.options, http->arena, http->host,
               request->now_ms);
    if (body_begin(&mint.problems, request)) {
        find_base(&mint);
        if (body_read(&reader, &doc, &mint.problems, request)) list = find_ads(&count, &mint, &doc);
    }
    if (list) {
        /* It came without the memory of a mint: its key was made while its body arrived. */
        if (memory_max(&mint, &doc, list) > arena_room(http->arena)) {
            answer_refusal(request, REJECT_UNAVAILABLE);
            return;
        }
        answer = finish(&mint, &doc, list, count);
    }
    if (answer.ptr)
        answer_json(request, 200, SPAN(""), answer);
    else
        answer_problems(request, 422, &mint.problems);
}

int api_mint(struct api *api, struct span json, struct span host, struct arena *scratch,
             struct span *answer)
{
    struct api_settings settings;
    struct json_doc doc;
    struct mint mint;
    uint32_t list = 0, count = 0;
    uint32_t cap = (uint32_t)(json.len / 2 + 1);
    uint64_t seed;
    struct json_token *tokens = json.len <= LIMIT_MINT_BODY ? malloc(cap * sizeof *tokens) : NULL;
    *answer = reject_row(REJECT_TOO_LARGE)->body[DIALECT_DETAIL];
    if (!tokens) return reject_row(REJECT_TOO_LARGE)->status;
    rng_fill(&seed, sizeof seed);
    api_settings_take(&settings, api);
    start_mint(&mint, api, &settings.options, scratch, host, clock_wall_ms());
    problems_init(&mint.problems, scratch);
    find_base(&mint);
    if (body_parse(&doc, json, tokens, cap, seed, &mint.problems))
        list = find_ads(&count, &mint, &doc);
    struct span text = list ? finish(&mint, &doc, list, count) : SPAN_NONE;
    free(tokens);
    int status = text.ptr ? 200 : 422;
    if (!text.ptr) text = problems_text(&mint.problems, DIALECT_DETAIL);
    if (!text.ptr) return reject_row(REJECT_TOO_LARGE)->status;
    *answer = text;
    return status;
}
