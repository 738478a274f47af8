#include "ops.h"
#include "unit.h"

#include "store_bench.h"

/* Every key has the same fingerprint here (collide.c): what differs is recorded, what is the same
 * is a duplicate, and only rows can tell. */

enum { TWINS = 3 };

static const char *const names[TWINS] = {"one", "two", "three"};

static struct op op_of(enum op_kind kind, struct span name, int i)
{
    struct op op = {.kind = kind, .received_at_ms = now_ms};
    const uint8_t random[10] = {(uint8_t)i};
    switch (kind) {
    case OP_IMPRESSION:
        op.impression = (struct impression){.ad = ad_of(name), .route = SPAN("view")};
        break;
    case OP_FEEDBACK:
        op.feedback = (struct feedback){.bid_id = name, .type = SPAN("positive")};
        break;
    case OP_AD_FEEDBACK:
        op.ad_feedback = (struct ad_feedback){.id = uuid_make_v7(now_ms, random),
                                              .ad = ad_of(name),
                                              .api_key_id = SPAN("k"),
                                              .sent_session_id = SPAN("s"),
                                              .sentiment = SPAN("thumbs_up")};
        break;
    case OP_SERVER_EVENT:
        op.server_event = (struct server_event){.sender = {.partner_id = SPAN("p"),
                                                           .api_key_id = SPAN("k"),
                                                           .api_key_label = SPAN("l")},
                                                .tag_id = SPAN("t"),
                                                .event_id = name,
                                                .event_name = SPAN("e"),
                                                .channel = SPAN("server"),
                                                .params = SPAN("{}")};
        break;
    default:
        op.vote = (struct vote){.ad = ad_of(name), .poll_id = 1, .option_id = SPAN("0")};
    }
    return op;
}

static void put_poll(struct bench *bench)
{
    struct op put = {.kind = OP_POLL_PUT,
                     .received_at_ms = now_ms,
                     .poll = {.id = 1, .question = SPAN("?"), .options_count = 2}};
    put.poll.options[0] = (struct poll_option){SPAN("0"), SPAN("no")};
    put.poll.options[1] = (struct poll_option){SPAN("1"), SPAN("yes")};
    assert_int_equal(apply_one(bench, &put), OUTCOME_RECORDED);
}

static void twins_are_told_apart_by_their_rows(void **state)
{
    static const enum op_kind kinds[] = {OP_IMPRESSION, OP_FEEDBACK, OP_AD_FEEDBACK,
                                         OP_SERVER_EVENT, OP_VOTE};
    struct bench *bench = *state;
    put_poll(bench);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        uint64_t sequences[TWINS];
        for (int round = 0; round < 3; round++) {
            if (round == 2) reopen_store(bench);
            for (int i = 0; i < TWINS; i++) {
                struct op op = op_of(kinds[k], span_of(names[i]), i);
                enum outcome expected = round == 0 ? OUTCOME_RECORDED : OUTCOME_DUPLICATE;
                assert_int_equal(apply_one(bench, &op), expected);
                if (round == 0) sequences[i] = op.sequence;
                assert_int_equal(op.sequence, sequences[i]);
            }
        }
    }
    assert_int_equal(count_findings(bench), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {STORE_CASE(twins_are_told_apart_by_their_rows)};
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
