#include "unit.h"

#include "base/arena.h"
#include "base/limits.h"
#include "token/claims.h"

#include <stdio.h>
#include <string.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define EXP "\"exp\":\"2026-11-21T06:00:00.000Z\""
#define EXP_MS INT64_C(1795240800000)

static _Alignas(16) char arena_memory[4096];

static bool read_in(struct arena *arena, struct claims *claims, enum purpose purpose,
                    struct span json)
{
    return claims_read(claims, json, purpose, arena, 7);
}

static bool read_claims(struct claims *claims, enum purpose purpose, struct span json)
{
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    return read_in(&arena, claims, purpose, json);
}

/* The members of `base` as one object, without those named `drop`, and `extra` at the end. */
static struct span compose(char *memory, size_t size, enum purpose purpose, const char *drop,
                           const char *extra)
{
    static const struct {
        const char *name;
        const char *member;
        unsigned purposes;
    } base[] = {
        {"bid", "\"bid\":\"b1\"", 31},
        {"pub", "\"pub\":\"p1\"", 31},
        {"url", "\"url\":\"https://shop.example/a?b=c\"", 1 << PURPOSE_CLICK},
        {"pol", "\"pol\":123", 1 << PURPOSE_VOTE | 1 << PURPOSE_RESULTS},
        {"exp", EXP, 31},
    };
    struct writer out;
    writer_init(&out, memory, size);
    writer_char(&out, '{');
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++) {
        if (!(base[i].purposes >> purpose & 1) || strcmp(base[i].name, drop) == 0) continue;
        if (out.len > 1) writer_char(&out, ',');
        writer_put(&out, span_of(base[i].member));
    }
    if (*extra) writer_char(&out, ',');
    writer_put(&out, span_of(extra));
    writer_char(&out, '}');
    assert_false(out.overflow);
    return writer_text(&out);
}

enum {
    V = PURPOSE_VIEW,
    A = PURPOSE_ACK,
    C = PURPOSE_CLICK,
    O = PURPOSE_VOTE,
    R = PURPOSE_RESULTS
};

struct member_row {
    const char *name;
    enum purpose purpose;
    const char *drop; /* a member of the valid object that goes */
    const char *add;  /* and what comes in its place */
    bool accepted;
};

/* clang-format off */
static const struct member_row member_rows[] = {
    {"view: as it should be", PURPOSE_VIEW, "", "", true},
    {"ack: as it should be", PURPOSE_ACK, "", "", true},
    {"click: as it should be", PURPOSE_CLICK, "", "", true},
    {"vote: as it should be", PURPOSE_VOTE, "", "", true},
    {"results: as it should be", PURPOSE_RESULTS, "", "", true},

    {"view: no bid", PURPOSE_VIEW, "bid", "", false},
    {"ack: no bid", PURPOSE_ACK, "bid", "", false},
    {"click: no bid", PURPOSE_CLICK, "bid", "", true},
    {"vote: no bid", PURPOSE_VOTE, "bid", "", false},
    {"results: no bid", PURPOSE_RESULTS, "bid", "", false},
    {"view: no pub", PURPOSE_VIEW, "pub", "", false},
    {"click: no pub", PURPOSE_CLICK, "pub", "", false},
    {"vote: no pub", PURPOSE_VOTE, "pub", "", false},
    {"view: no exp", PURPOSE_VIEW, "exp", "", false},
    {"click: no exp", PURPOSE_CLICK, "exp", "", false},
    {"results: no exp", PURPOSE_RESULTS, "exp", "", false},
    {"click: no url", PURPOSE_CLICK, "url", "", false},
    {"vote: no pol", PURPOSE_VOTE, "pol", "", false},
    {"results: no pol", PURPOSE_RESULTS, "pol", "", false},

    {"bid null", PURPOSE_VIEW, "bid", "\"bid\":null", false},
    {"bid blank", PURPOSE_VIEW, "bid", "\"bid\":\" \\t\"", false},
    {"bid empty", PURPOSE_VIEW, "bid", "\"bid\":\"\"", false},
    {"bid null in a click", PURPOSE_CLICK, "bid", "\"bid\":null", true},
    {"bid blank in a click", PURPOSE_CLICK, "bid", "\"bid\":\"  \"", true},
    {"bid a number", PURPOSE_VIEW, "bid", "\"bid\":1", false},
    {"bid a number in a click", PURPOSE_CLICK, "bid", "\"bid\":1", false},
    {"bid true", PURPOSE_VIEW, "bid", "\"bid\":true", false},
    {"bid an array", PURPOSE_VIEW, "bid", "\"bid\":[\"b1\"]", false},
    {"bid an object", PURPOSE_VIEW, "bid", "\"bid\":{\"bid\":\"b1\"}", false},
    {"bid twice", PURPOSE_VIEW, "", "\"bid\":\"b1\"", false},
    {"bid twice, once escaped", PURPOSE_VIEW, "", "\"\\u0062id\":\"b1\"", false},
    {"bid by an escaped name", PURPOSE_VIEW, "bid", "\"\\u0062id\":\"b1\"", true},
    {"pub null", PURPOSE_VIEW, "pub", "\"pub\":null", false},
    {"pub empty", PURPOSE_VIEW, "pub", "\"pub\":\"\"", false},
    {"pub false", PURPOSE_VIEW, "pub", "\"pub\":false", false},
    {"cam", PURPOSE_VIEW, "", "\"cam\":\"c\"", true},
    {"cam null", PURPOSE_VIEW, "", "\"cam\":null", true},
    {"cam empty", PURPOSE_VIEW, "", "\"cam\":\"\"", true},
    {"cam a number", PURPOSE_VIEW, "", "\"cam\":5", false},
    {"prd a number", PURPOSE_ACK, "", "\"prd\":5", false},
    {"crt a number", PURPOSE_CLICK, "", "\"crt\":5", false},
    {"adv a number", PURPOSE_VOTE, "", "\"adv\":5", false},
    {"usr a number", PURPOSE_RESULTS, "", "\"usr\":5", false},
    {"ses an array", PURPOSE_VIEW, "", "\"ses\":[]", false},
    {"plc an object", PURPOSE_VIEW, "", "\"plc\":{}", false},

    {"prc", PURPOSE_VIEW, "", "\"prc\":\"0.015\"", true},
    {"prc zero", PURPOSE_VIEW, "", "\"prc\":\"0\"", true},
    {"prc null", PURPOSE_VIEW, "", "\"prc\":null", true},
    {"prc a number", PURPOSE_VIEW, "", "\"prc\":0.015", false},
    {"prc negative", PURPOSE_VIEW, "", "\"prc\":\"-1\"", false},
    {"prc with an exponent", PURPOSE_VIEW, "", "\"prc\":\"1e3\"", false},
    {"prc no number", PURPOSE_VIEW, "", "\"prc\":\"cheap\"", false},
    {"prc too large", PURPOSE_VIEW, "", "\"prc\":\"1000000000000000\"", false},
    {"prc in a vote is not looked at", PURPOSE_VOTE, "", "\"prc\":17", true},
    {"cur", PURPOSE_ACK, "", "\"cur\":\"USD\"", true},
    {"cur lower case", PURPOSE_ACK, "", "\"cur\":\"usd\"", true},
    {"cur unknown", PURPOSE_ACK, "", "\"cur\":\"ZZZ\"", false},
    {"cur too long", PURPOSE_ACK, "", "\"cur\":\"USDD\"", false},
    {"cur a number", PURPOSE_ACK, "", "\"cur\":840", false},
    {"mod cpm", PURPOSE_CLICK, "", "\"mod\":\"cpm\"", true},
    {"mod cpc", PURPOSE_CLICK, "", "\"mod\":\"cpc\"", true},
    {"mod upper case", PURPOSE_CLICK, "", "\"mod\":\"CPC\"", false},
    {"mod unknown", PURPOSE_CLICK, "", "\"mod\":\"cpa\"", false},

    {"url http", PURPOSE_CLICK, "url", "\"url\":\"http://shop.example\"", true},
    {"url javascript", PURPOSE_CLICK, "url", "\"url\":\"javascript:alert(1)\"", false},
    {"url ftp", PURPOSE_CLICK, "url", "\"url\":\"ftp://shop.example/\"", false},
    {"url relative", PURPOSE_CLICK, "url", "\"url\":\"/a\"", false},
    {"url scheme-relative", PURPOSE_CLICK, "url", "\"url\":\"//shop.example/\"", false},
    {"url without host", PURPOSE_CLICK, "url", "\"url\":\"https:///a\"", false},
    {"url with a line feed", PURPOSE_CLICK, "url", "\"url\":\"https://shop.example/\\r\\nX: y\"", false},
    {"url null", PURPOSE_CLICK, "url", "\"url\":null", false},
    {"url blank", PURPOSE_CLICK, "url", "\"url\":\" \"", false},
    {"url a number", PURPOSE_CLICK, "url", "\"url\":5", false},
    {"url in a view is not looked at", PURPOSE_VIEW, "", "\"url\":5", true},

    {"pol zero", PURPOSE_VOTE, "pol", "\"pol\":0", true},
    {"pol largest", PURPOSE_VOTE, "pol", "\"pol\":9223372036854775807", true},
    {"pol past the largest", PURPOSE_VOTE, "pol", "\"pol\":9223372036854775808", false},
    {"pol negative", PURPOSE_VOTE, "pol", "\"pol\":-1", false},
    {"pol minus zero", PURPOSE_VOTE, "pol", "\"pol\":-0", false},
    {"pol a fraction", PURPOSE_VOTE, "pol", "\"pol\":1.0", false},
    {"pol an exponent", PURPOSE_VOTE, "pol", "\"pol\":1e2", false},
    {"pol a string", PURPOSE_VOTE, "pol", "\"pol\":\"123\"", false},
    {"pol null", PURPOSE_VOTE, "pol", "\"pol\":null", false},
    {"pol in a view is not looked at", PURPOSE_VIEW, "", "\"pol\":\"x\"", true},

    {"exp past", PURPOSE_VIEW, "exp", "\"exp\":\"1999-01-01T00:00:00Z\"", true},
    {"exp with an offset", PURPOSE_VIEW, "exp", "\"exp\":\"2026-11-21T07:00:00+01:00\"", true},
    {"exp without offset", PURPOSE_VIEW, "exp", "\"exp\":\"2026-11-21T06:00:00\"", false},
    {"exp a date", PURPOSE_VIEW, "exp", "\"exp\":\"2026-11-21\"", false},
    {"exp no day", PURPOSE_VIEW, "exp", "\"exp\":\"2026-02-30T00:00:00Z\"", false},
    {"exp a number", PURPOSE_VIEW, "exp", "\"exp\":1795240800", false},
    {"exp null", PURPOSE_VIEW, "exp", "\"exp\":null", false},
    {"exp blank", PURPOSE_VIEW, "exp", "\"exp\":\"\"", false},

    {"unknown claims", PURPOSE_VIEW, "", "\"iat\":5,\"x\":{\"y\":[1,2,null]},\"sub\":\"s\"", true},
    {"unknown claim twice", PURPOSE_VIEW, "", "\"x\":1,\"x\":1", false},
    {"a lone surrogate", PURPOSE_VIEW, "", "\"x\":\"\\ud800\"", false},
    {"U+0000", PURPOSE_VIEW, "", "\"x\":\"\\u0000\"", false},
    {"a comma at the end", PURPOSE_VIEW, "", "\"x\":1,", false},
};
/* clang-format on */

static void member_is_checked(void **state)
{
    const struct member_row *row = *state;
    char memory[1024];
    struct claims claims;
    struct span json = compose(memory, sizeof memory, row->purpose, row->drop, row->add);
    assert_int_equal(read_claims(&claims, row->purpose, json), row->accepted);
}

struct document_row {
    const char *name;
    struct span json;
};

static const struct document_row bad_documents[] = {
    {"document: empty", TEXT("")},
    {"document: absent", {NULL, 0}},
    {"document: an array", TEXT("[]")},
    {"document: a string", TEXT("\"bid\"")},
    {"document: null", TEXT("null")},
    {"document: no members", TEXT("{}")},
    {"document: two", TEXT("{\"bid\":\"b\",\"pub\":\"p\"," EXP "}{}")},
    {"document: inside an array", TEXT("[{\"bid\":\"b\",\"pub\":\"p\"," EXP "}]")},
    {"document: not UTF-8", TEXT("{\"bid\":\"\xff\",\"pub\":\"p\"," EXP "}")},
    {"document: claims one level down", TEXT("{\"c\":{\"bid\":\"b\",\"pub\":\"p\"," EXP "}}")},
};

static void document_is_refused(void **state)
{
    const struct document_row *row = *state;
    struct claims claims;
    for (int purpose = 0; purpose < PURPOSE_COUNT; purpose++)
        assert_false(read_claims(&claims, (enum purpose)purpose, row->json));
}

static void ids_have_a_length(void **state)
{
    (void)state;
    static const char *const names[] = {"bid", "pub", "cam", "prd", "crt",
                                        "adv", "usr", "ses", "plc"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t len = LIMIT_ID - 1; len <= LIMIT_ID + 1; len++) {
            char filler[LIMIT_ID + 2] = {0}, add[512], memory[1024];
            struct claims claims;
            memset(filler, 'x', len);
            snprintf(add, sizeof add, "\"%s\":\"%s\"", names[i], filler);
            struct span json = compose(memory, sizeof memory, PURPOSE_VIEW, names[i], add);
            assert_int_equal(read_claims(&claims, PURPOSE_VIEW, json), len <= LIMIT_ID);
        }
    }
}

static void landing_urls_have_a_length(void **state)
{
    (void)state;
    for (size_t len = LIMIT_LANDING_URL - 1; len <= LIMIT_LANDING_URL + 1; len++) {
        char url[LIMIT_LANDING_URL + 2] = {0}, add[3000], memory[4000];
        struct claims claims;
        memset(url, 'a', len);
        memcpy(url, "https://h.example/", strlen("https://h.example/"));
        snprintf(add, sizeof add, "\"url\":\"%s\"", url);
        struct span json = compose(memory, sizeof memory, PURPOSE_CLICK, "url", add);
        assert_int_equal(read_claims(&claims, PURPOSE_CLICK, json), len <= LIMIT_LANDING_URL);
    }
}

static void values_are_read(void **state)
{
    (void)state;
    struct claims claims;
    assert_true(read_claims(
        &claims, PURPOSE_CLICK,
        SPAN("{ \"bid\" : \"b\\u00e9\", \"pub\":\"p\", \"cam\":\"1\", \"prd\":\"2\", \"crt\":\"3\","
             "\"adv\":\"4\",\"usr\":\"5\",\"ses\":\"6\",\"plc\":\"7\",\"prc\":\"1.50\","
             "\"cur\":\"eur\",\"mod\":\"cpc\",\"url\":\"https://h.example/\\u0061\",\"pol\":9," EXP
             "}")));
    assert_true(span_eq(claims.bid, SPAN("b\xc3\xa9")));
    assert_true(span_eq(claims.pub, SPAN("p")));
    assert_true(span_eq(claims.cam, SPAN("1")));
    assert_true(span_eq(claims.prd, SPAN("2")));
    assert_true(span_eq(claims.crt, SPAN("3")));
    assert_true(span_eq(claims.adv, SPAN("4")));
    assert_true(span_eq(claims.usr, SPAN("5")));
    assert_true(span_eq(claims.ses, SPAN("6")));
    assert_true(span_eq(claims.plc, SPAN("7")));
    assert_true(span_eq(claims.prc, SPAN("1.50")));
    assert_true(span_eq(claims.cur, SPAN("EUR")));
    assert_true(span_eq(claims.mod, SPAN("cpc")));
    assert_true(span_eq(claims.url, SPAN("https://h.example/a")));
    assert_true(claims.exp_ms == EXP_MS);
    assert_int_equal(claims.pol, -1);
}

static void absent_values_are_absent(void **state)
{
    (void)state;
    char memory[1024];
    struct claims claims;
    struct span json = compose(memory, sizeof memory, PURPOSE_CLICK, "bid",
                               "\"cam\":null,\"prd\":\"\",\"crt\":\"\\u00a0\"");
    assert_true(read_claims(&claims, PURPOSE_CLICK, json));
    assert_null(claims.bid.ptr);
    assert_null(claims.cam.ptr);
    assert_null(claims.prd.ptr);
    assert_null(claims.crt.ptr);
    assert_null(claims.prc.ptr);
    json = compose(memory, sizeof memory, PURPOSE_VIEW, "", "\"url\":\"https://h.example/\"");
    assert_true(read_claims(&claims, PURPOSE_VIEW, json));
    assert_null(claims.url.ptr);
}

static void a_full_arena_is_a_refusal(void **state)
{
    (void)state;
    struct arena arena;
    struct claims claims;
    struct span escaped = SPAN("{\"bid\":\"\\u0062\",\"pub\":\"p\"," EXP "}");
    struct span plain = SPAN("{\"bid\":\"b\",\"pub\":\"p\"," EXP "}");
    struct span lower = SPAN("{\"bid\":\"b\",\"pub\":\"p\",\"cur\":\"usd\"," EXP "}");
    arena_init(&arena, arena_memory, 0);
    assert_false(read_in(&arena, &claims, PURPOSE_VIEW, escaped));
    assert_false(read_in(&arena, &claims, PURPOSE_VIEW, lower));
    assert_true(read_in(&arena, &claims, PURPOSE_VIEW, plain));
}

/* Values in an array of an unknown claim, one JSON token each. */
static void tokens_are_bounded(void **state)
{
    (void)state;
    enum { OTHER_TOKENS = 9 }; /* the object, three members, the name and the array */
    for (int over = 0; over <= 1; over++) {
        char memory[2048];
        struct writer out;
        struct claims claims;
        writer_init(&out, memory, sizeof memory);
        writer_lit(&out, "{\"bid\":\"b\",\"pub\":\"p\"," EXP ",\"x\":[0");
        for (int i = OTHER_TOKENS + 1; i < CLAIMS_JSON_TOKENS_MAX + over; i++)
            writer_lit(&out, ",0");
        writer_lit(&out, "]}");
        assert_int_equal(read_claims(&claims, PURPOSE_VIEW, writer_text(&out)), !over);
    }
}

static struct claims all_claims(void)
{
    return (struct claims){
        .bid = SPAN("b\"1"),
        .pub = SPAN("p"),
        .cam = SPAN("1"),
        .prd = SPAN("2"),
        .crt = SPAN("3"),
        .adv = SPAN("4"),
        .usr = SPAN("\xf0\x9f\x98\x80"),
        .ses = SPAN("6"),
        .plc = SPAN("7"),
        .prc = SPAN("0.5"),
        .cur = SPAN("USD"),
        .mod = SPAN("cpm"),
        .url = SPAN("https://h.example/?a=b&c=%20#d"),
        .pol = 12,
        .exp_ms = EXP_MS + 7,
    };
}

struct written_row {
    const char *name;
    enum purpose purpose;
    const char *tail; /* after the claims that every purpose has */
};

#define PRICE ",\"prc\":\"0.5\",\"cur\":\"USD\",\"mod\":\"cpm\""

static const struct written_row written_rows[] = {
    {"written: view", PURPOSE_VIEW, PRICE},
    {"written: ack", PURPOSE_ACK, PRICE},
    {"written: click", PURPOSE_CLICK, PRICE ",\"url\":\"https://h.example/?a=b&c=%20#d\""},
    {"written: vote", PURPOSE_VOTE, ",\"pol\":12"},
    {"written: results", PURPOSE_RESULTS, ",\"pol\":12"},
};

static void claims_are_written_by_purpose(void **state)
{
    const struct written_row *row = *state;
    char memory[1024], expected[1024];
    struct writer out;
    struct claims claims = all_claims(), back;
    writer_init(&out, memory, sizeof memory);
    claims_write(&out, &claims, row->purpose);
    snprintf(expected, sizeof expected,
             "{\"bid\":\"b\\\"1\",\"pub\":\"p\",\"cam\":\"1\",\"prd\":\"2\",\"crt\":\"3\","
             "\"adv\":\"4\",\"usr\":\"\xf0\x9f\x98\x80\",\"ses\":\"6\",\"plc\":\"7\"%s,"
             "\"exp\":\"2026-11-21T06:00:00.007Z\"}",
             row->tail);
    assert_true(span_eq(writer_text(&out), span_of(expected)));
    assert_true(read_claims(&back, row->purpose, writer_text(&out)));
    assert_true(span_eq(back.bid, claims.bid));
    assert_true(span_eq(back.usr, claims.usr));
    assert_true(back.exp_ms == claims.exp_ms);
}

static void absent_claims_are_not_written(void **state)
{
    (void)state;
    char memory[256];
    struct writer out;
    struct claims claims = {.pub = SPAN("p"), .pol = -1, .exp_ms = EXP_MS};
    writer_init(&out, memory, sizeof memory);
    claims_write(&out, &claims, PURPOSE_RESULTS);
    assert_true(span_eq(writer_text(&out), SPAN("{\"pub\":\"p\"," EXP "}")));
}

static void purposes_have_assertions(void **state)
{
    (void)state;
    assert_true(span_eq(purpose_assertion(PURPOSE_VIEW), SPAN("adtally/view")));
    assert_true(span_eq(purpose_assertion(PURPOSE_ACK), SPAN("adtally/ack")));
    assert_true(span_eq(purpose_assertion(PURPOSE_CLICK), SPAN("adtally/click")));
    assert_true(span_eq(purpose_assertion(PURPOSE_VOTE), SPAN("adtally/vote")));
    assert_true(span_eq(purpose_assertion(PURPOSE_RESULTS), SPAN("adtally/results")));
    assert_true(span_eq(purpose_name(PURPOSE_RESULTS), SPAN("results")));
}

#define K64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct footer_row {
    const char *name;
    struct span footer;
    struct span kid; /* absent: refused */
};

static const struct footer_row footer_rows[] = {
    {"kid: as we write it", TEXT("{\"kid\":\"k1\"}"), TEXT("k1")},
    {"kid: with white space", TEXT(" { \"kid\" : \"k1\" } "), TEXT("k1")},
    {"kid: 64 bytes", TEXT("{\"kid\":\"" K64 "\"}"), TEXT(K64)},
    {"kid: 65 bytes", TEXT("{\"kid\":\"" K64 "0\"}"), {NULL, 0}},
    {"kid: empty", TEXT("{\"kid\":\"\"}"), {NULL, 0}},
    {"kid: null", TEXT("{\"kid\":null}"), {NULL, 0}},
    {"kid: a number", TEXT("{\"kid\":1}"), {NULL, 0}},
    {"kid: an object", TEXT("{\"kid\":{}}"), {NULL, 0}},
    {"kid: an array", TEXT("{\"kid\":[]}"), {NULL, 0}},
    {"kid: escaped", TEXT("{\"kid\":\"k\\u0031\"}"), {NULL, 0}},
    {"kid: not UTF-8", TEXT("{\"kid\":\"\xff\"}"), {NULL, 0}},
    {"kid: twice", TEXT("{\"kid\":\"k1\",\"kid\":\"k1\"}"), {NULL, 0}},
    {"kid: not alone", TEXT("{\"kid\":\"k1\",\"wpk\":\"x\"}"), {NULL, 0}},
    {"kid: another member", TEXT("{\"Kid\":\"k1\"}"), {NULL, 0}},
    {"kid: no member", TEXT("{}"), {NULL, 0}},
    {"kid: in an array", TEXT("[\"kid\",\"k1\"]"), {NULL, 0}},
    {"kid: bare", TEXT("k1"), {NULL, 0}},
    {"kid: a string", TEXT("\"k1\""), {NULL, 0}},
    {"kid: empty footer", TEXT(""), {NULL, 0}},
    {"kid: absent footer", {NULL, 0}, {NULL, 0}},
};

static void kid_is_read(void **state)
{
    const struct footer_row *row = *state;
    struct span kid = footer_kid(row->footer);
    assert_int_equal(kid.ptr != NULL, row->kid.ptr != NULL);
    assert_true(span_eq(kid, row->kid));
}

static void footer_is_written(void **state)
{
    (void)state;
    char memory[64];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    footer_write(&out, SPAN("k1"));
    assert_true(span_eq(writer_text(&out), SPAN("{\"kid\":\"k1\"}")));
}

int main(void)
{
    UNIT_ADD_ROWS(member_rows, member_is_checked);
    UNIT_ADD_ROWS(bad_documents, document_is_refused);
    UNIT_ADD(ids_have_a_length);
    UNIT_ADD(landing_urls_have_a_length);
    UNIT_ADD(values_are_read);
    UNIT_ADD(absent_values_are_absent);
    UNIT_ADD(a_full_arena_is_a_refusal);
    UNIT_ADD(tokens_are_bounded);
    UNIT_ADD_ROWS(written_rows, claims_are_written_by_purpose);
    UNIT_ADD(absent_claims_are_not_written);
    UNIT_ADD(purposes_have_assertions);
    UNIT_ADD_ROWS(footer_rows, kid_is_read);
    UNIT_ADD(footer_is_written);
    return UNIT_RUN_ADDED("claims");
}
