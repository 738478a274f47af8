#include "admin/import.h"
#include "admin/key_texts.h"
#include "base/limits.h"
#include "base/rng.h"
#include "event/datetime.h"
#include "event/flags.h"
#include "event/text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From JSON objects to ops: a table of members for each kind of row. Names are those of the
 * columns, so that lines of `adtally export` can be imported. */

enum member_type {
    MEMBER_TEXT,
    MEMBER_TIME,
    MEMBER_RAW,
    MEMBER_NUMBER_TEXT,
    MEMBER_FLAGS,
    MEMBER_IGNORED
};

/* In the order that reads best in the tables. */
struct member { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    struct span name;
    enum member_type type;
    size_t offset; /* in struct import_row: a span, or milliseconds */
    size_t len_max;
    bool is_required;
};

#define AT(what) .offset = offsetof(struct import_row, what)
#define TEXT(name, what, max)                                                                      \
    {                                                                                              \
        SPAN_INIT(name), MEMBER_TEXT, AT(what), (max), false                                       \
    }
#define NEEDED(name, what, max)                                                                    \
    {                                                                                              \
        SPAN_INIT(name), MEMBER_TEXT, AT(what), (max), true                                        \
    }
#define TIME(name, what)                                                                           \
    {                                                                                              \
        SPAN_INIT(name), MEMBER_TIME, AT(what), 0, true                                            \
    }
#define IGNORED(name)                                                                              \
    {                                                                                              \
        SPAN_INIT(name), MEMBER_IGNORED, 0, 0, false                                               \
    }
/* NOLINTBEGIN(bugprone-macro-parentheses): paths of members, for offsetof */
#define AD(ad)                                                                                     \
    TEXT("advertiser_id", ad.advertiser_id, LIMIT_ID),                                             \
        NEEDED("publisher_id", ad.publisher_id, LIMIT_ID),                                         \
        TEXT("campaign_id", ad.campaign_id, LIMIT_ID),                                             \
        TEXT("product_id", ad.product_id, LIMIT_ID),                                               \
        TEXT("creative_id", ad.creative_id, LIMIT_ID), TEXT("user_id", ad.user_id, LIMIT_ID),      \
        TEXT("session_id", ad.session_id, LIMIT_ID), TEXT("placement", ad.placement, LIMIT_ID),    \
        TEXT("price", ad.price, 64), TEXT("currency", ad.currency, 3),                             \
        TEXT("pricing", ad.pricing, 16)
#define VISITOR(visitor)                                                                           \
    TEXT("client_address", visitor.address, 64),                                                   \
        TEXT("user_agent", visitor.user_agent, LIMIT_USER_AGENT),                                  \
    {                                                                                              \
        SPAN_INIT("flags"), MEMBER_FLAGS, AT(visitor.flags), 0, false                              \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
#define OF_EXPORT IGNORED("table"), IGNORED("seq"), IGNORED("receipt"), IGNORED("route")
#define END                                                                                        \
    {                                                                                              \
        {NULL, 0}, MEMBER_IGNORED, 0, 0, false                                                     \
    }

/* clang-format off */
static const struct member click_members[] = {
    NEEDED("click_id", click_id, UUID_TEXT_LEN),
    TIME("recorded_at_ms", recorded_at_ms), TIME("expires_at_ms", expires_at_ms),
    TEXT("bid_id", op.click.ad.bid_id, LIMIT_ID), AD(op.click.ad),
    TEXT("landing_url", op.click.landing_url, LIMIT_LANDING_URL),
    VISITOR(op.click.visitor), OF_EXPORT, END,
};
static const struct member impression_members[] = {
    TIME("recorded_at_ms", recorded_at_ms),
    NEEDED("bid_id", op.impression.ad.bid_id, LIMIT_ID), AD(op.impression.ad),
    VISITOR(op.impression.visitor), OF_EXPORT, END,
};
static const struct member vote_members[] = {
    TIME("recorded_at_ms", recorded_at_ms),
    NEEDED("bid_id", op.vote.ad.bid_id, LIMIT_ID), AD(op.vote.ad),
    {SPAN_INIT("poll_id"), MEMBER_NUMBER_TEXT, AT(poll_id), 20, true},
    NEEDED("option_id", op.vote.option_id, LIMIT_ID), OF_EXPORT, END,
};
static const struct member conversion_members[] = {
    TIME("recorded_at_ms", recorded_at_ms),
    NEEDED("click_id", op.conversion.click_id, UUID_TEXT_LEN),
    NEEDED("partner_id", op.conversion.sender.partner_id, LIMIT_ID),
    TEXT("event_type", op.conversion.event_type, LIMIT_EVENT_NAME),
    TEXT("id", id, LIMIT_IDEMPOTENCY_KEY - 7),
    TEXT("idempotency_key", op.conversion.idempotency_key, LIMIT_IDEMPOTENCY_KEY),
    TEXT("event_id", op.conversion.event_id, LIMIT_ID),
    TEXT("order_id", op.conversion.order_id, LIMIT_ID),
    NEEDED("conversion_time", conversion_time, 64),
    {SPAN_INIT("conversion_value"), MEMBER_NUMBER_TEXT, AT(conversion_value), 40, true},
    NEEDED("currency", op.conversion.currency, 3),
    TEXT("tag_id", op.conversion.tag_id, LIMIT_ID + 8),
    TEXT("page_url", op.conversion.page_url, LIMIT_URL),
    TEXT("referrer", op.conversion.referrer, LIMIT_URL),
    TEXT("user_agent", op.conversion.user_agent, LIMIT_USER_AGENT),
    TEXT("session_id", op.conversion.session_id, LIMIT_ID),
    TEXT("client_id", op.conversion.client_id, LIMIT_ID),
    {SPAN_INIT("params"), MEMBER_RAW, AT(op.conversion.params), LIMIT_BODY, false},
    IGNORED("click_seq"), IGNORED("api_key_id"), IGNORED("api_key_label"), IGNORED("channel"),
    IGNORED("conversion_time_ms"), IGNORED("value_units"), IGNORED("value_nanos"), OF_EXPORT, END,
};
static const struct member poll_members[] = { /* the rest is admin_read_poll's */
    IGNORED("sponsored_poll_id"), IGNORED("question"), IGNORED("options"), IGNORED("cta_url"),
    IGNORED("table"), END,
};
static const struct member key_members[] = {
    NEEDED("class", key_class, 16),
    TEXT("label", op.key.label, LIMIT_ID), TEXT("partner_id", op.key.partner_id, LIMIT_ID),
    TEXT("publisher_id", op.key.publisher_id, LIMIT_ID),
    TEXT("advertiser_id", op.key.advertiser_id, LIMIT_ID), TEXT("tag_id", op.key.tag_id, LIMIT_ID),
    TEXT("expires_at", expires, 64), TEXT("secret", secret, APIKEY_SECRET_MAX),
    TEXT("sha256", sha256, 2 * HASH_SHA256_SIZE),
    IGNORED("table"), IGNORED("id"), IGNORED("created_at"), END,
};
/* clang-format on */

static bool fail(char *problem, const char *name, const char *what)
{
    snprintf(problem, IMPORT_PROBLEM_MAX, "%s %s", name, what);
    return false;
}

/* -- members ------------------------------------------------------------------------------- */

static bool read_time(struct admin_request *request, uint32_t value, int64_t *ms)
{
    unsigned long long number;
    struct span text;
    switch (request->doc.tokens[value].type) {
    case JSON_NUMBER:
        if (!span_to_u64(json_raw(&request->doc, value), INT64_MAX / 4, &number)) return false;
        *ms = (int64_t)number;
        return number > 0;
    case JSON_STRING:
        text = json_string(&request->doc, value, &request->arena);
        return text.ptr && datetime_parse_rfc3339(ms, text) && *ms > 0;
    default:
        return false;
    }
}

static bool read_text(struct admin_request *request, uint32_t value, size_t len_max,
                      struct span *text)
{
    if (request->doc.tokens[value].type != JSON_STRING) return false;
    *text = json_string(&request->doc, value, &request->arena);
    if (text->ptr && text_is_blank(*text)) *text = SPAN_NONE; /* the same as absent */
    return !text->ptr || text->len <= len_max;
}

static bool read_number_text(struct admin_request *request, uint32_t value, size_t len_max,
                             struct span *text)
{
    if (request->doc.tokens[value].type == JSON_NUMBER)
        *text = json_raw(&request->doc, value);
    else if (request->doc.tokens[value].type == JSON_STRING)
        *text = json_string(&request->doc, value, &request->arena);
    return text->ptr && text->len <= len_max;
}

static bool read_flags(struct admin_request *request, uint32_t value, uint32_t *flags)
{
    unsigned long long number;
    if (request->doc.tokens[value].type != JSON_NUMBER) return false;
    if (!span_to_u64(json_raw(&request->doc, value), FLAGS_ALL, &number)) return false;
    *flags = (uint32_t)number;
    return true;
}

static bool read_raw(struct admin_request *request, uint32_t value, size_t len_max,
                     struct span *text)
{
    if (request->doc.tokens[value].type != JSON_OBJECT) return false;
    *text = json_raw(&request->doc, value);
    return text->len <= len_max;
}

static bool read_member(struct import_row *row, struct admin_request *request,
                        const struct member *member, uint32_t value, char *problem)
{
    void *at = (char *)row + member->offset;
    if (request->doc.tokens[value].type == JSON_NULL) return true;
    switch (member->type) {
    case MEMBER_TEXT:
        if (read_text(request, value, member->len_max, at)) return true;
        snprintf(problem, IMPORT_PROBLEM_MAX, "%.*s has to be a text of at most %zu bytes",
                 SPAN_FMT(member->name), member->len_max);
        return false;
    case MEMBER_TIME:
        if (read_time(request, value, at)) return true;
        return fail(problem, member->name.ptr,
                    "has to be Unix milliseconds, or a time like 2026-11-21T06:00:00Z");
    case MEMBER_NUMBER_TEXT:
        return read_number_text(request, value, member->len_max, at) ||
               fail(problem, member->name.ptr, "has to be a number");
    case MEMBER_FLAGS:
        return read_flags(request, value, at) ||
               fail(problem, member->name.ptr, "has to be a sum of the bits of docs/schema.md");
    case MEMBER_RAW:
        return read_raw(request, value, member->len_max, at) ||
               fail(problem, member->name.ptr, "has to be an object");
    default:
        return true;
    }
}

static const struct member *find_member(const struct member *members, struct span name)
{
    while (members->name.ptr && !span_eq(members->name, name))
        members++;
    return members->name.ptr ? members : NULL;
}

static bool is_there(const struct import_row *row, const struct member *member)
{
    const void *at = (const char *)row + member->offset;
    return member->type == MEMBER_TIME ? *(const int64_t *)at != 0
                                       : ((const struct span *)at)->ptr != NULL;
}

static bool read_members(struct import_row *row, struct admin_request *request, uint32_t object,
                         const struct member *members, char *problem)
{
    const struct json_token *tokens = request->doc.tokens;
    for (uint32_t at = object + 1; at < tokens[object].end; at = tokens[at + 1].end) {
        struct span name = json_string(&request->doc, at, &request->arena);
        const struct member *member = find_member(members, name);
        if (!member) {
            snprintf(problem, IMPORT_PROBLEM_MAX, "unknown member \"%.*s\"",
                     (int)(name.len < 64 ? name.len : 64), name.ptr);
            return false;
        }
        if (!read_member(row, request, member, at + 1, problem)) return false;
    }
    for (; members->name.ptr; members++)
        if (members->is_required && !is_there(row, members))
            return fail(problem, members->name.ptr, "is missing");
    return true;
}

/* -- rows ---------------------------------------------------------------------------------- */

static bool take_click(struct import_row *row, struct admin_request *request, uint32_t object,
                       char *problem)
{
    struct click *click = &row->op.click;
    if (!uuid_read(&click->id, row->click_id))
        return fail(problem, "click_id", "has to be a UUID in lower case, with hyphens");
    row->op.kind = OP_CLICK;
    click->expires_at_ms = row->expires_at_ms;
    click->route = SPAN("import");
    if (!click->landing_url.ptr) click->landing_url = SPAN("");
    return true;
}

static bool take_impression(struct import_row *row, struct admin_request *request, uint32_t object,
                            char *problem)
{
    row->op.kind = OP_IMPRESSION;
    row->op.impression.route = SPAN("import");
    return true;
}

static bool take_vote(struct import_row *row, struct admin_request *request, uint32_t object,
                      char *problem)
{
    unsigned long long id;
    if (!span_to_u64(row->poll_id, INT64_MAX, &id))
        return fail(problem, "poll_id", "has to be a whole number");
    row->op.kind = OP_VOTE;
    row->op.vote.poll_id = (int64_t)id;
    return true;
}

/* Without a key of its own a conversion would count again each time it is imported. */
static bool take_key_of_conversion(struct import_row *row, char *problem)
{
    struct conversion *conversion = &row->op.conversion;
    if (conversion->idempotency_key.ptr || conversion->event_id.ptr || conversion->order_id.ptr)
        return true;
    if (!row->id.ptr)
        return fail(problem, "idempotency_key, event_id, order_id or id",
                    "is missing: one of them tells the conversion from others");
    int len = snprintf(row->key_text, sizeof row->key_text, "import:%.*s", SPAN_FMT(row->id));
    conversion->idempotency_key = (struct span){row->key_text, (size_t)len};
    return true;
}

static bool take_conversion(struct import_row *row, struct admin_request *request, uint32_t object,
                            char *problem)
{
    struct conversion *conversion = &row->op.conversion;
    row->op.kind = OP_CONVERSION;
    if (!take_key_of_conversion(row, problem)) return false;
    if (!datetime_parse_iso8601(&conversion->conversion_time_ms, row->conversion_time))
        return fail(problem, "conversion_time", "has to be a time like 2026-11-21T06:00:00Z");
    if (!amount_parse(&conversion->value, row->conversion_value))
        return fail(problem, "conversion_value", "has to be a number below 10^15");
    if (!text_is_currency(conversion->currency))
        return fail(problem, "currency", "has to be an ISO 4217 code");
    for (size_t i = 0; i < conversion->currency.len; i++)
        if (conversion->currency.ptr[i] >= 'a')
            return fail(problem, "currency", "has to be in upper case");
    conversion->conversion_time = row->conversion_time;
    conversion->conversion_value = row->conversion_value;
    conversion->check_order = !conversion->idempotency_key.ptr;
    conversion->sender.api_key_id = conversion->sender.api_key_label = SPAN("import");
    conversion->channel = SPAN("server");
    if (!conversion->event_type.ptr) conversion->event_type = SPAN("purchase_completed");
    return true;
}

static bool read_counts(struct import_row *row, struct admin_request *request, uint32_t object)
{
    const struct json_token *tokens = request->doc.tokens;
    uint32_t list = json_member(&request->doc, object, SPAN("options"));
    uint32_t option = 0;
    for (uint32_t at = list + 1; at < tokens[list].end; at = tokens[at].end, option++) {
        unsigned long long votes = 0;
        uint32_t value = json_member(&request->doc, at, SPAN("votes"));
        if (value && !span_to_u64(json_raw(&request->doc, value), INT64_MAX / 1000, &votes))
            return false;
        row->counts[option] = votes;
    }
    return true;
}

static bool take_poll(struct import_row *row, struct admin_request *request, uint32_t object,
                      char *problem)
{
    const char *wrong = admin_read_poll(request, object, &row->op.poll);
    if (wrong) {
        snprintf(problem, IMPORT_PROBLEM_MAX, "%s", wrong);
        return false;
    }
    if (!read_counts(row, request, object))
        return fail(problem, "votes", "of an option has to be a whole number");
    row->op.kind = OP_POLL_PUT;
    row->op.poll.counts = row->counts;
    return true;
}

static bool take_expiry(struct import_row *row, char *problem)
{
    struct api_key *key = &row->op.key;
    if (!row->expires.ptr) return true;
    if (!datetime_parse_rfc3339(&key->expires_at_ms, row->expires))
        return fail(problem, "expires_at", "has to be a time like 2026-11-21T06:00:00Z");
    if (key->expires_at_ms == 0) key->expires_at_ms = -1; /* 0 means never */
    return true;
}

static bool take_api_key(struct import_row *row, struct admin_request *request, uint32_t object,
                         char *problem)
{
    struct api_key *key = &row->op.key;
    uint8_t entropy[APIKEY_ID_LEN];
    const struct span texts[KEY_TEXTS_COUNT] = {
        [KEY_LABEL] = key->label,
        [KEY_PARTNER_ID] = key->partner_id,
        [KEY_PUBLISHER_ID] = key->publisher_id,
        [KEY_ADVERTISER_ID] = key->advertiser_id,
        [KEY_TAG_ID] = key->tag_id,
    };
    row->op.kind = OP_KEY_CREATE;
    if (!apikey_class_of(row->key_class, &key->cls))
        return fail(problem, "class", "is one of partner, publisher, adserver, admin");
    _Static_assert((int)KEY_PROBLEM_MAX <= (int)IMPORT_PROBLEM_MAX, "the same buffer");
    if (!key_texts_check(problem, key->cls, texts, false) || !take_expiry(row, problem))
        return false;
    if (!row->secret.ptr == !row->sha256.ptr)
        return fail(problem, "secret or sha256", "has to be there, one of them");
    if (row->secret.ptr && !apikey_importable(row->secret))
        return fail(problem, "secret", "has to be 16 to 256 visible ASCII characters");
    if (row->secret.ptr)
        hash_sha256(row->digest, row->secret);
    else if (!admin_hex(row->sha256, row->digest, sizeof row->digest))
        return fail(problem, "sha256", "has to be 64 hex digits in lower case");
    rng_fill(entropy, sizeof entropy);
    apikey_make_id(row->key_id, entropy);
    key->id = (struct span){row->key_id, sizeof row->key_id};
    return true;
}

static const struct table {
    struct span name;
    const struct member *members;
    bool (*take)(struct import_row *row, struct admin_request *request, uint32_t object,
                 char *problem);
} tables[IMPORT_TABLES] = {
    [IMPORT_API_KEY] = {SPAN_INIT("api_key"), key_members, take_api_key},
    [IMPORT_POLL] = {SPAN_INIT("poll"), poll_members, take_poll},
    [IMPORT_IMPRESSION] = {SPAN_INIT("impression"), impression_members, take_impression},
    [IMPORT_CLICK] = {SPAN_INIT("click"), click_members, take_click},
    [IMPORT_CONVERSION] = {SPAN_INIT("conversion"), conversion_members, take_conversion},
    [IMPORT_VOTE] = {SPAN_INIT("vote"), vote_members, take_vote},
};

struct span import_table_name(enum import_table table)
{
    return tables[table].name;
}

static bool find_table(struct admin_request *request, uint32_t object, enum import_table *table)
{
    uint32_t value = json_member(&request->doc, object, SPAN("table"));
    struct span name = value ? json_string(&request->doc, value, &request->arena) : SPAN_NONE;
    for (int i = 0; i < IMPORT_TABLES; i++) {
        if (!span_eq(name, tables[i].name)) continue;
        *table = (enum import_table)i;
        return true;
    }
    return false;
}

bool import_read(struct import_row *row, struct admin_request *request, uint32_t object,
                 char problem[IMPORT_PROBLEM_MAX])
{
    *row = (struct import_row){.table = IMPORT_TABLES};
    if (request->doc.tokens[object].type != JSON_OBJECT)
        return fail(problem, "a line", "has to be a JSON object");
    if (!find_table(request, object, &row->table))
        return fail(problem, "table",
                    "is one of api_key, poll, impression, click, conversion, vote");
    const struct table *table = &tables[row->table];
    if (!read_members(row, request, object, table->members, problem) ||
        !table->take(row, request, object, problem))
        return false;
    row->op.happened_at_ms = row->recorded_at_ms;
    return true;
}

bool import_check(enum import_table *table, struct span line, char problem[IMPORT_PROBLEM_MAX])
{
    static _Alignas(16) char scratch[IMPORT_LINE_MAX + IMPORT_TEXTS_MAX * 16];
    static struct json_token tokens[IMPORT_LINE_MAX / 2 + 1];
    static struct import_row row;
    struct admin_request request = {.admin = NULL};
    arena_init(&request.arena, scratch, sizeof scratch);
    enum json_error error =
        line.len > IMPORT_LINE_MAX
            ? JSON_TOO_LARGE
            : json_parse(&request.doc, line, tokens, sizeof tokens / sizeof tokens[0], 0);
    if (error) return fail(problem, "the line is no JSON:", json_error_text(error));
    bool ok = import_read(&row, &request, 0, problem);
    *table = row.table;
    return ok;
}
