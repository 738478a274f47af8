#include "unit.h"

#include "admin/live.h"
#include "json/json.h"

#include <string.h>

/* What a second of GET /v1/live says, from two looks at the counters. */

static struct live_look before, now;
static char memory[LIVE_LINE_MAX];

static struct span line(void)
{
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    live_write(&out, &before, &now);
    assert_false(out.overflow);
    return writer_text(&out);
}

static int reset(void **state)
{
    memset(&before, 0, sizeof before);
    memset(&now, 0, sizeof now);
    return 0;
}

static void has(const char *part)
{
    struct span text = line();
    if (!memmem(text.ptr, text.len, part, strlen(part)))
        fail_msg("%s is not in %.*s", part, SPAN_FMT(text));
}

static void lacks(const char *part)
{
    struct span text = line();
    if (memmem(text.ptr, text.len, part, strlen(part)))
        fail_msg("%s is in %.*s", part, SPAN_FMT(text));
}

static void counts_are_of_the_second_and_of_all(void **state)
{
    before.api.routes[0].requests[DISPOSITION_RECORDED] = 5;
    now.api.routes[0].requests[DISPOSITION_RECORDED] = 12;
    now.api.routes[1].requests[DISPOSITION_RECORDED] = 1;
    has("\"/v1/api/conversion\":{\"n\":7,\"total\":12,");
    has("\"outcomes\":{\"recorded\":{\"n\":8,\"total\":13}}");
    has("\"refusals\":{}");
}

static void what_never_happened_is_left_out(void **state)
{
    has("\"routes\":{},\"outcomes\":{},\"refusals\":{}");
    before.api.routes[0].requests[DISPOSITION_DUPLICATE] = 3;
    now = before;
    has("\"/v1/api/conversion\":{\"n\":0,\"total\":3}");
    lacks("p99_us");
}

static void refusals_have_their_reason_and_failures_are_apart(void **state)
{
    now.api.routes[2].requests[DISPOSITION_REFUSED + REJECT_KEY_INVALID] = 4;
    now.api.routes[3].requests[DISPOSITION_REFUSED + REJECT_KEY_INVALID] = 1;
    now.api.routes[3].requests[DISPOSITION_REFUSED + REJECT_UNAVAILABLE] = 2;
    has("\"refused\":{\"n\":5,\"total\":5}");
    has("\"failed\":{\"n\":2,\"total\":2}");
    has("\"key_invalid\":{\"n\":5,\"total\":5}");
    has("\"unavailable\":{\"n\":2,\"total\":2}");
}

static uint64_t percentile(unsigned percent)
{
    return live_percentile_us(&before.api.routes[0].latency_us, &now.api.routes[0].latency_us,
                              percent);
}

static void percentiles_lie_in_the_bucket_of_their_rank(void **state)
{
    struct histogram *histogram = &now.api.routes[0].latency_us;
    assert_int_equal(percentile(50), 0);
    histogram->buckets[metrics_bucket(200, METRICS_TIME_SHIFT)] = 98;
    histogram->buckets[metrics_bucket(5000, METRICS_TIME_SHIFT)] = 2;
    assert_in_range(percentile(50), 129, 256);
    assert_in_range(percentile(98), 129, 256);
    assert_in_range(percentile(99), 4097, 8192);
    before = now;
    histogram->buckets[0] += 1; /* only what came since counts */
    assert_in_range(percentile(99), 1, 32);
}

static void the_longest_line_fits_and_is_json(void **state)
{
    struct json_token tokens[2048];
    struct json_doc doc;
    for (size_t route = 0; route < API_ROUTES_COUNT; route++) {
        for (unsigned i = 0; i < DISPOSITION_COUNT; i++)
            now.api.routes[route].requests[i] = UINT64_C(1) << 48;
        now.api.routes[route].latency_us.buckets[METRICS_BUCKETS - 1] = UINT64_C(1) << 48;
    }
    now.started_at_ms = now.at_ms = INT64_C(1) << 52;
    now.health = (struct live_health){.is_healthy = true,
                                      .disk_bytes = INT64_MAX,
                                      .disk_free_bytes = INT64_MAX,
                                      .database_bytes = INT64_MAX,
                                      .ledger.store = {.wal_bytes = INT64_MAX,
                                                       .index_bytes = INT64_MAX,
                                                       .keys_indexed = INT64_MAX}};
    assert_int_equal(json_parse(&doc, line(), tokens, 2048, 1), JSON_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counts_are_of_the_second_and_of_all, reset),
        cmocka_unit_test_setup(what_never_happened_is_left_out, reset),
        cmocka_unit_test_setup(refusals_have_their_reason_and_failures_are_apart, reset),
        cmocka_unit_test_setup(percentiles_lie_in_the_bucket_of_their_rank, reset),
        cmocka_unit_test_setup(the_longest_line_fits_and_is_json, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
