#include "base/clock.h"
#include "base/rng.h"
#include "store/store.h"
#include "token/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* What the store alone costs: CPU per op in batches as the ledger makes them, without sockets.
 *   store_bench DIR|URL [CLICKS] [BATCH]
 *   store_bench DIR|URL CLICKS BATCH KIND FIRST COUNT
 * Over PostgreSQL the CPU is this side's: the database's is its own, and the rate says what one
 * connection takes.
 * With KIND (click, conversion, impression): only these, with numbers from FIRST on, in a store
 * that an earlier run has filled; the same numbers again are duplicates. */

enum { BATCH_MAX = STORE_BATCH_MAX, TEXT_MAX = 64, DAY_MS = 24 * 60 * 60 * 1000 };

struct bench {
    struct store *store;
    uint64_t clicks;
    size_t batch;
    struct op ops[BATCH_MAX];
    struct op *refs[BATCH_MAX];
    char texts[BATCH_MAX][4][TEXT_MAX];
};

typedef void make_fn(struct bench *bench, size_t slot, uint64_t number);

/* Like a client's: without a pattern that a hash table could profit from. */
static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

static struct uuid click_id(const struct bench *bench, uint64_t number)
{
    uint8_t random[10] = {0};
    uint64_t bits = mix(number);
    memcpy(random, &bits, sizeof bits);
    random[8] = (uint8_t)(bits >> 7);
    random[9] = (uint8_t)(bits >> 9);
    return uuid_make_v7(clock_wall_ms() / DAY_MS * DAY_MS, random);
}

static struct span put(struct bench *bench, size_t slot, int text, const char *what,
                       uint64_t number)
{
    char *at = bench->texts[slot][text];
    return (struct span){at, (size_t)snprintf(at, TEXT_MAX, "%s-%032lx", what, number)};
}

static struct ad_facts an_ad(struct bench *bench, size_t slot, uint64_t number)
{
    return (struct ad_facts){
        .bid_id = put(bench, slot, 0, "bid", mix(number)),
        .advertiser_id = SPAN("advertiser-1"),
        .publisher_id = SPAN("publisher-1"),
        .campaign_id = SPAN("campaign-1"),
        .product_id = SPAN("product-1"),
        .creative_id = SPAN("creative-1"),
        .user_id = put(bench, slot, 1, "user", mix(number + 1)),
        .session_id = put(bench, slot, 2, "session", mix(number + 2)),
        .placement = SPAN("below_response"),
        .price = SPAN("2.50"),
        .currency = SPAN("USD"),
        .pricing = SPAN("cpc"),
    };
}

static const struct visitor a_visitor = {
    SPAN_INIT("203.0.113.0"),
    SPAN_INIT("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
};

static void make_click(struct bench *bench, size_t slot, uint64_t number)
{
    struct op *op = &bench->ops[slot];
    op->kind = OP_CLICK;
    op->click = (struct click){
        .id = click_id(bench, number),
        .expires_at_ms = op->received_at_ms + 90LL * DAY_MS,
        .ad = an_ad(bench, slot, number),
        .visitor = a_visitor,
        .landing_url = SPAN("https://shop.example/landing?utm_source=thrad"),
        .route = SPAN("redirect"),
    };
}

static void make_impression(struct bench *bench, size_t slot, uint64_t number)
{
    bench->ops[slot].kind = OP_IMPRESSION;
    bench->ops[slot].impression =
        (struct impression){an_ad(bench, slot, number), a_visitor, SPAN("view")};
}

static void make_conversion(struct bench *bench, size_t slot, uint64_t number)
{
    struct op *op = &bench->ops[slot];
    struct uuid id = click_id(bench, mix(number) % bench->clicks);
    uuid_write(bench->texts[slot][3], &id);
    op->kind = OP_CONVERSION;
    op->conversion = (struct conversion){
        .sender = {.partner_id = SPAN("demo"),
                   .api_key_id = SPAN("k-0123456789"),
                   .api_key_label = SPAN("demonstration")},
        .click_id = {bench->texts[slot][3], UUID_TEXT_LEN},
        .event_type = SPAN("purchase"),
        .idempotency_key = put(bench, slot, 0, "key", mix(number)),
        .order_id = put(bench, slot, 1, "order", mix(number)),
        .conversion_time = SPAN("2026-11-21T12:00:00Z"),
        .conversion_time_ms = op->received_at_ms,
        .conversion_value = SPAN("49.99"),
        .value = {49, 990000000},
        .channel = SPAN("server"),
        .currency = SPAN("USD"),
    };
}

/* `count` ops of a kind from `first` on; tells what one cost. */
static void run(struct bench *bench, const char *name, make_fn *make, uint64_t first,
                uint64_t count)
{
    struct rusage before, after;
    uint64_t recorded = 0, cpu_us = 0;
    int64_t began_us = clock_mono_us();
    for (uint64_t done = 0; done < count; done += bench->batch) {
        for (size_t slot = 0; slot < bench->batch; slot++) {
            bench->ops[slot] = (struct op){.received_at_ms = clock_wall_ms()};
            make(bench, slot, first + done + slot);
        }
        getrusage(RUSAGE_THREAD, &before);
        if (store_apply(bench->store, bench->refs, bench->batch) || store_maintain(bench->store))
            exit(1);
        getrusage(RUSAGE_THREAD, &after);
        cpu_us += (uint64_t)((after.ru_utime.tv_sec - before.ru_utime.tv_sec +
                              after.ru_stime.tv_sec - before.ru_stime.tv_sec) *
                                 1000000 +
                             after.ru_utime.tv_usec - before.ru_utime.tv_usec +
                             after.ru_stime.tv_usec - before.ru_stime.tv_usec);
        for (size_t slot = 0; slot < bench->batch; slot++)
            recorded += bench->ops[slot].outcome == OUTCOME_RECORDED;
    }
    printf("%-24s %10lu ops %10lu recorded %6.2f us of CPU %8.0f a second\n", name, count, recorded,
           (double)cpu_us / (double)count,
           (double)count * 1e6 / (double)(clock_mono_us() - began_us));
    fflush(stdout);
}

static const struct kind {
    const char *name;
    make_fn *make;
} kinds[] = {
    {"click", make_click},
    {"conversion", make_conversion},
    {"impression", make_impression},
};

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct store_options options;
    char problem[STORE_PROBLEM_MAX];
    if (argc < 2 || !hash_start()) return 2;
    bench.clicks = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
    bench.batch = argc > 3 ? strtoull(argv[3], NULL, 10) : 256;
    store_options_init(&options);
    if (strncmp(argv[1], "postgres", 8) == 0)
        options.url = argv[1];
    else
        options.dir = argv[1];
    options.create = true;
    if (bench.batch > BATCH_MAX || store_open(&bench.store, &options, problem)) return 1;
    for (size_t slot = 0; slot < BATCH_MAX; slot++)
        bench.refs[slot] = &bench.ops[slot];
    if (argc > 6) {
        const struct kind *kind = find_kind(argv[4]);
        if (!kind) return 2;
        run(&bench, kind->name, kind->make, strtoull(argv[5], NULL, 10),
            strtoull(argv[6], NULL, 10));
        store_close(bench.store);
        return 0;
    }
    run(&bench, "click", make_click, 0, bench.clicks);
    run(&bench, "conversion", make_conversion, 0, bench.clicks);
    run(&bench, "conversion, duplicate", make_conversion, 0, bench.clicks);
    run(&bench, "impression", make_impression, 0, bench.clicks);
    run(&bench, "impression, duplicate", make_impression, 0, bench.clicks);
    store_close(bench.store);
    return 0;
}
