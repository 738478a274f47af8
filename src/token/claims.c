#include "token/claims.h"

#include "base/limits.h"
#include "base/uninitialized.h"
#include "event/amount.h"
#include "event/datetime.h"
#include "event/text.h"
#include "json/json.h"
#include "json/write.h"

#include <stddef.h>
#include <string.h>

#define BIT(purpose) (1u << (purpose))

enum {
    IN_CLICK = BIT(PURPOSE_CLICK),
    IN_AD = BIT(PURPOSE_VIEW) | BIT(PURPOSE_ACK) | BIT(PURPOSE_CLICK),
    IN_POLL = BIT(PURPOSE_VOTE) | BIT(PURPOSE_RESULTS),
    IN_ALL = IN_AD | IN_POLL,
    IN_NONE = 0,
};

static const char *const assertions[PURPOSE_COUNT] = {
    [PURPOSE_VIEW] = "adtally/view",       [PURPOSE_ACK] = "adtally/ack",
    [PURPOSE_CLICK] = "adtally/click",     [PURPOSE_VOTE] = "adtally/vote",
    [PURPOSE_RESULTS] = "adtally/results",
};

static bool is_id(struct span text)
{
    return text.len <= LIMIT_ID;
}

static bool is_price(struct span text)
{
    struct amount amount;
    return amount_parse_price(&amount, text);
}

static bool is_pricing(struct span text)
{
    return span_eq(text, SPAN("cpm")) || span_eq(text, SPAN("cpc"));
}

enum { NAME_LEN = 3 }; /* of every claim */

/* The table of contract section 6: each claim that is a text. */
/* clang-format off */
static const struct text_rule {
    char name[NAME_LEN + 1];
    size_t offset;
    unsigned in;
    unsigned required_in;
    bool (*accepts)(struct span text); /* not blank */
} text_rules[] = {
    {"bid", offsetof(struct claims, bid), IN_ALL,   IN_ALL & ~IN_CLICK, is_id},
    {"pub", offsetof(struct claims, pub), IN_ALL,   IN_ALL,             is_id},
    {"cam", offsetof(struct claims, cam), IN_ALL,   IN_NONE,            is_id},
    {"prd", offsetof(struct claims, prd), IN_ALL,   IN_NONE,            is_id},
    {"crt", offsetof(struct claims, crt), IN_ALL,   IN_NONE,            is_id},
    {"adv", offsetof(struct claims, adv), IN_ALL,   IN_NONE,            is_id},
    {"usr", offsetof(struct claims, usr), IN_ALL,   IN_NONE,            is_id},
    {"ses", offsetof(struct claims, ses), IN_ALL,   IN_NONE,            is_id},
    {"plc", offsetof(struct claims, plc), IN_ALL,   IN_NONE,            is_id},
    {"prc", offsetof(struct claims, prc), IN_AD,    IN_NONE,            is_price},
    {"cur", offsetof(struct claims, cur), IN_AD,    IN_NONE,            text_is_currency},
    {"mod", offsetof(struct claims, mod), IN_AD,    IN_NONE,            is_pricing},
    {"url", offsetof(struct claims, url), IN_CLICK, IN_CLICK,           text_is_landing_url},
};
/* clang-format on */

enum { TEXT_RULES_COUNT = sizeof text_rules / sizeof text_rules[0] };

/* The claims by number: the rules' first. */
enum { CLAIM_POL = TEXT_RULES_COUNT, CLAIM_EXP, CLAIMS_COUNT };

static const char *name_of(size_t claim)
{
    return claim == CLAIM_POL ? "pol" : claim == CLAIM_EXP ? "exp" : text_rules[claim].name;
}

struct span purpose_assertion(enum purpose purpose)
{
    return span_of(assertions[purpose]);
}

struct span purpose_name(enum purpose purpose)
{
    struct span assertion = purpose_assertion(purpose);
    size_t prefix_len = SPAN("adtally/").len;
    return (struct span){assertion.ptr + prefix_len, assertion.len - prefix_len};
}

void claims_write(struct writer *out, const struct claims *claims, enum purpose purpose)
{
    writer_char(out, '{');
    for (size_t i = 0; i < TEXT_RULES_COUNT; i++) {
        const struct text_rule *rule = &text_rules[i];
        if (!(rule->in & BIT(purpose))) continue;
        const char *field = (const char *)claims + rule->offset;
        json_write_text_member(out, span_of(rule->name), *(const struct span *)(const void *)field);
    }
    if ((IN_POLL & BIT(purpose)) && claims->pol >= 0)
        json_write_number_member(out, SPAN("pol"), claims->pol);
    json_write_comma(out);
    json_write_key(out, SPAN("exp"));
    writer_char(out, '"');
    datetime_write(out, claims->exp_ms);
    writer_lit(out, "\"}");
}

/* Where a document has its claims: value tokens, 0 for one that it has not. */
struct found {
    uint32_t tokens[CLAIMS_COUNT];
};

/* False for a key of another length. */
static bool read_name(char name[NAME_LEN], const struct json_doc *doc, uint32_t key)
{
    const struct json_token *token = &doc->tokens[key];
    if (!token->escaped) {
        if (token->len == NAME_LEN) memcpy(name, doc->text.ptr + token->start, NAME_LEN);
        return token->len == NAME_LEN;
    }
    struct json_unescaper from = json_unescape(doc, key);
    for (size_t i = 0; i < NAME_LEN; i++) {
        int byte = json_next_byte(&from);
        if (byte < 0) return false;
        name[i] = (char)byte;
    }
    return json_next_byte(&from) < 0;
}

/* One look at each member. They are looked for in the table's order, which is how claims_write
 * puts them: nearly every name is the next one. */
static void find_claims(struct found *found, const struct json_doc *doc)
{
    size_t next = 0;
    *found = (struct found){0};
    for (uint32_t key = 1; key < doc->tokens[0].end; key = doc->tokens[key + 1].end) {
        char name[NAME_LEN];
        if (!read_name(name, doc, key)) continue;
        for (size_t tried = 0; tried < CLAIMS_COUNT; tried++) {
            size_t claim = next;
            next = next + 1 == CLAIMS_COUNT ? 0 : next + 1;
            if (memcmp(name_of(claim), name, NAME_LEN) != 0) continue;
            found->tokens[claim] = key + 1;
            break;
        }
    }
}

/* A string, or absent for null, blank and no such member; false for another type (or a full
 * arena). */
static bool read_text(struct span *out, const struct json_doc *doc, uint32_t token,
                      struct arena *arena)
{
    *out = SPAN_NONE;
    if (token == 0 || doc->tokens[token].type == JSON_NULL) return true;
    if (doc->tokens[token].type != JSON_STRING) return false;
    struct span text = json_string(doc, token, arena);
    if (!text.ptr) return false;
    if (!text_is_blank(text)) *out = text;
    return true;
}

static bool read_texts(struct claims *out, const struct json_doc *doc, const struct found *found,
                       enum purpose purpose, struct arena *arena)
{
    for (size_t i = 0; i < TEXT_RULES_COUNT; i++) {
        const struct text_rule *rule = &text_rules[i];
        struct span *field = (struct span *)(void *)((char *)out + rule->offset);
        if (!(rule->in & BIT(purpose))) continue;
        if (!read_text(field, doc, found->tokens[i], arena)) return false;
        if (field->ptr ? !rule->accepts(*field) : rule->required_in & BIT(purpose)) return false;
    }
    return true;
}

static bool read_poll(int64_t *out, const struct json_doc *doc, uint32_t token,
                      enum purpose purpose)
{
    unsigned long long id;
    if (!(IN_POLL & BIT(purpose))) return true;
    if (token == 0 || doc->tokens[token].type != JSON_NUMBER) return false;
    if (!span_to_u64(json_raw(doc, token), INT64_MAX, &id)) return false;
    *out = (int64_t)id;
    return true;
}

static bool raise_currency(struct span *currency, struct arena *arena)
{
    bool upper = true;
    for (size_t i = 0; i < currency->len; i++)
        upper = upper && currency->ptr[i] < 'a';
    if (upper) return true;
    char *copy = arena_alloc(arena, currency->len);
    if (!copy) return false;
    for (size_t i = 0; i < currency->len; i++)
        copy[i] = (char)(currency->ptr[i] & ~('a' - 'A')); /* letters only, or no currency */
    currency->ptr = copy;
    return true;
}

bool claims_read(struct claims *out, struct span json, enum purpose purpose, struct arena *arena,
                 uint64_t seed)
{
    UNINITIALIZED struct json_token tokens[CLAIMS_JSON_TOKENS_MAX];
    struct json_doc doc;
    struct found found;
    struct span exp;
    *out = (struct claims){.pol = -1};
    if (json_parse(&doc, json, tokens, CLAIMS_JSON_TOKENS_MAX, seed) != JSON_OK) return false;
    if (tokens[0].type != JSON_OBJECT) return false;
    find_claims(&found, &doc);
    return read_texts(out, &doc, &found, purpose, arena) && raise_currency(&out->cur, arena) &&
           read_poll(&out->pol, &doc, found.tokens[CLAIM_POL], purpose) &&
           read_text(&exp, &doc, found.tokens[CLAIM_EXP], arena) &&
           datetime_parse_rfc3339(&out->exp_ms, exp);
}

void footer_write(struct writer *out, struct span kid)
{
    writer_char(out, '{');
    json_write_text_member(out, SPAN("kid"), kid);
    writer_char(out, '}');
}

struct span footer_kid(struct span footer)
{
    enum { OBJECT_KEY_VALUE = 3 }; /* no room for a second member */
    struct json_token tokens[OBJECT_KEY_VALUE];
    struct json_doc doc;
    if (json_parse(&doc, footer, tokens, OBJECT_KEY_VALUE, 0) != JSON_OK) return SPAN_NONE;
    if (tokens[0].type != JSON_OBJECT) return SPAN_NONE;
    uint32_t kid = json_member(&doc, 0, SPAN("kid"));
    if (kid == 0 || tokens[kid].type != JSON_STRING || tokens[kid].escaped) return SPAN_NONE;
    if (tokens[kid].len == 0 || tokens[kid].len > CLAIMS_KID_MAX) return SPAN_NONE;
    return (struct span){footer.ptr + tokens[kid].start, tokens[kid].len};
}
