/* fill DIR|URL EPOCH_MS CLICKS CONVERSIONS IMPRESSIONS: records so many of each into an existing
 * data directory or database, through the store, without HTTP; the n-th click has the n-th
 * conversion, the n-th impression is of its bid. names.h says their ids, and these are their other
 * keys:
 *
 *     Idempotency-Key  fill-<n, 12 digits>
 *     order_id         order-<n, 12 digits>
 *
 * fill DIR EPOCH_MS EVENTS DAYS: records so many events, as reports see them: from EPOCH_MS on over
 * so many days, of 200 campaigns, 20 publishers and 3 placements; of ten, seven are impressions,
 * two clicks and one a conversion. The n-th click has the n-th click's id here, too.
 *
 * fill EPOCH_MS CLICKS: prints the click ids, a line each, for the stores of others. */

#include "base/clock.h"
#include "names.h"
#include "store/store.h"
#include "token/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64 };

static const int64_t DAY_MS = 24LL * 60 * 60 * 1000, CLICK_TTL_MS = 90 * DAY_MS;

/* Of ten events one after the other, which are what; and what they are of. */
enum { IN_TEN_IMPRESSIONS = 7, IN_TEN_CLICKS = 2 };
enum { CAMPAIGNS = 200, ADVERTISERS = 40, PRODUCTS_EACH = 2, PUBLISHERS = 20, PLACEMENTS = 3 };

/* A place of the batch: an op and the texts that it borrows. */
struct place {
    struct op op;
    char click_id[UUID_TEXT_LEN], bid_id[UUID_TEXT_LEN];
    char key[TEXT_MAX], order[TEXT_MAX];
    char names[5][TEXT_MAX];
};

struct fill {
    struct store *store;
    int64_t epoch_ms;
    struct place places[STORE_BATCH_MAX];
    struct op *batch[STORE_BATCH_MAX];
};

typedef void make_op(struct place *place, uint64_t n, int64_t epoch_ms);

static struct span write_id(char out[UUID_TEXT_LEN], enum names_kind kind, uint64_t n,
                            int64_t epoch_ms)
{
    struct uuid id = names_uuid(kind, n, epoch_ms);
    uuid_write(out, &id);
    return (struct span){out, UUID_TEXT_LEN};
}

static struct span write_key(char out[TEXT_MAX], const char *prefix, uint64_t n)
{
    int len = snprintf(out, TEXT_MAX, "%s%0*lu", prefix, NAMES_NUMBER_LEN, n);
    return (struct span){out, (size_t)len};
}

static struct ad_facts ad_of(struct place *place, uint64_t n, int64_t epoch_ms)
{
    return (struct ad_facts){.bid_id = write_id(place->bid_id, NAMES_BID, n, epoch_ms),
                             .publisher_id = SPAN("bench"),
                             .campaign_id = SPAN("c"),
                             .user_id = SPAN("u"),
                             .price = SPAN("0.25"),
                             .currency = SPAN("USD"),
                             .pricing = SPAN("cpc")};
}

static void make_click(struct place *place, uint64_t n, int64_t epoch_ms)
{
    place->op = (struct op){.kind = OP_CLICK,
                            .click = {.id = names_uuid(NAMES_CLICK, n, epoch_ms),
                                      .expires_at_ms = names_ms(n, epoch_ms) + CLICK_TTL_MS,
                                      .ad = ad_of(place, n, epoch_ms),
                                      .visitor = {.address = SPAN("127.0.0.0")},
                                      .landing_url = SPAN("https://shop.example/"),
                                      .route = SPAN("redirect")}};
}

static void make_impression(struct place *place, uint64_t n, int64_t epoch_ms)
{
    place->op = (struct op){.kind = OP_IMPRESSION,
                            .impression = {.ad = ad_of(place, n, epoch_ms),
                                           .visitor = {.address = SPAN("127.0.0.0")},
                                           .route = SPAN("view")}};
}

static void make_conversion(struct place *place, uint64_t n, int64_t epoch_ms)
{
    place->op =
        (struct op){.kind = OP_CONVERSION,
                    .conversion = {.sender = {.partner_id = SPAN("bench"),
                                              .api_key_id = SPAN("fillfillfill"),
                                              .api_key_label = SPAN("bench")},
                                   .click_id = write_id(place->click_id, NAMES_CLICK, n, epoch_ms),
                                   .event_type = SPAN("purchase_completed"),
                                   .idempotency_key = write_key(place->key, "fill-", n),
                                   .order_id = write_key(place->order, "order-", n),
                                   .check_order = true,
                                   .conversion_time = SPAN("2026-02-19T18:00:00Z"),
                                   .conversion_time_ms = 1771524000000,
                                   .conversion_value = SPAN("49.99"),
                                   .value = {49, 990000000},
                                   .currency = SPAN("USD"),
                                   .channel = SPAN("server"),
                                   .params = SPAN("{\"extra\":{\"customer_tier\":\"gold\"}}")}};
}

static void fail(const char *what)
{
    fprintf(stderr, "fill: %s\n", what);
    exit(1);
}

static void apply(struct fill *fill, size_t count)
{
    enum err err = store_apply(fill->store, fill->batch, count);
    if (err == ERR_OK) err = store_maintain(fill->store);
    if (err != ERR_OK) fail(err_text(err));
    for (size_t i = 0; i < count; i++) {
        if (fill->batch[i]->outcome != OUTCOME_RECORDED)
            fail("not recorded: is the directory new?");
    }
}

/* Over `duration_ms`; 0: as the names have it. */
static void record(struct fill *fill, make_op *make, uint64_t total, int64_t duration_ms)
{
    size_t count = 0;
    for (uint64_t n = 0; n < total; n++) {
        struct place *place = &fill->places[count];
        make(place, n, fill->epoch_ms);
        place->op.received_at_ms =
            duration_ms
                ? fill->epoch_ms + (int64_t)((double)n / (double)total * (double)duration_ms)
                : names_ms(n, fill->epoch_ms);
        fill->batch[count++] = &place->op;
        if (count < STORE_BATCH_MAX && n + 1 < total) continue;
        apply(fill, count);
        count = 0;
    }
}

static struct span write_name(char out[TEXT_MAX], const char *what, uint64_t n)
{
    int len = snprintf(out, TEXT_MAX, "%s-%lu", what, n);
    return (struct span){out, (size_t)len};
}

/* Any ad, the same one for the same number; the first campaigns have more than the last. */
static void name_ad(struct place *place, struct ad_facts *ad, uint64_t number)
{
    uint64_t state = number, one = names_random(&state) % CAMPAIGNS;
    uint64_t other = names_random(&state) % CAMPAIGNS, campaign = one < other ? one : other;
    uint64_t product = campaign * PRODUCTS_EACH + names_random(&state) % PRODUCTS_EACH;
    ad->campaign_id = write_name(place->names[0], "campaign", campaign);
    ad->advertiser_id = write_name(place->names[1], "advertiser", campaign % ADVERTISERS);
    ad->product_id = write_name(place->names[2], "product", product);
    ad->publisher_id = write_name(place->names[3], "publisher", names_random(&state) % PUBLISHERS);
    ad->placement = write_name(place->names[4], "placement", names_random(&state) % PLACEMENTS);
}

static void make_traffic(struct place *place, uint64_t n, int64_t epoch_ms)
{
    uint64_t ten = n / 10, one = n % 10;
    if (one < IN_TEN_IMPRESSIONS) {
        make_impression(place, ten * IN_TEN_IMPRESSIONS + one, epoch_ms);
        name_ad(place, &place->op.impression.ad, n);
    } else if (one < IN_TEN_IMPRESSIONS + IN_TEN_CLICKS) {
        make_click(place, ten * IN_TEN_CLICKS + one - IN_TEN_IMPRESSIONS, epoch_ms);
        name_ad(place, &place->op.click.ad, n);
    } else {
        make_conversion(place, ten * IN_TEN_CLICKS, epoch_ms);
    }
}

static void print_clicks(int64_t epoch_ms, uint64_t count)
{
    char text[UUID_TEXT_LEN];
    for (uint64_t n = 0; n < count; n++) {
        struct span id = write_id(text, NAMES_CLICK, n, epoch_ms);
        printf("%.*s\n", SPAN_FMT(id));
    }
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static void fill_directory(int count, char **arguments)
{
    static struct fill fill;
    struct store_options options;
    char problem[STORE_PROBLEM_MAX];
    store_options_init(&options);
    if (strncmp(arguments[1], "postgres", 8) == 0)
        options.url = arguments[1];
    else
        options.dir = arguments[1];
    if (!hash_start()) fail("libsodium cannot be used here");
    if (store_open(&fill.store, &options, problem) != ERR_OK) fail(problem);
    fill.epoch_ms = (int64_t)number(arguments[2]);
    int64_t started_ms = clock_mono_ms();
    if (count == 5) {
        record(&fill, make_traffic, number(arguments[3]), (int64_t)number(arguments[4]) * DAY_MS);
    } else {
        record(&fill, make_click, number(arguments[3]), 0);
        record(&fill, make_conversion, number(arguments[4]), 0);
        record(&fill, make_impression, number(arguments[5]), 0);
    }
    store_close(fill.store);
    printf("{\"ms\":%ld}\n", clock_mono_ms() - started_ms);
}

int main(int count, char **arguments)
{
    if (count == 5 || count == 6)
        fill_directory(count, arguments);
    else if (count == 3)
        print_clicks((int64_t)number(arguments[1]), number(arguments[2]));
    else
        fail("usage: fill DIR EPOCH_MS CLICKS CONVERSIONS IMPRESSIONS | fill DIR EPOCH_MS EVENTS "
             "DAYS"
             " | fill EPOCH_MS CLICKS");
    return 0;
}
