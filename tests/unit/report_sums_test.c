#include "unit.h"

#include "random.h"
#include "store/sqlite/report_sums.h"

/* Sums in memory and packed, against arrays that are added up without any order. */

enum { ROUNDS = 300, SUMS_MAX = 400, ADS = 60, KINDS = 5, CHUNK = 3 };

static uint64_t state;

static uint64_t roll(uint64_t sides)
{
    return random_below(&state, sides);
}

static report_amount random_amount(void)
{
    static const int shifts[] = {0, 7, 30, 62, 63, 64, 100, 126};
    report_amount amount = (report_amount)(roll(1000) + 1) * ((report_amount)1 << shifts[roll(8)]);
    amount = amount < 0 ? 1 : amount;
    return roll(3) ? amount : -amount;
}

static struct report_sum random_sum(void)
{
    uint32_t ad = (uint32_t)(CHUNK * REPORT_CHUNK + (roll(2) ? roll(ADS) : roll(REPORT_CHUNK)));
    int64_t count = (int64_t)roll(5) - 1;
    bool is_large = roll(9) == 0;
    return (struct report_sum){report_key(ad, (uint32_t)(roll(9) ? roll(KINDS) : UINT32_MAX)),
                               is_large ? count * (INT64_MAX / 1024) : count,
                               count ? random_amount() / SUMS_MAX : 0};
}

static void fill(struct report_sums *sums, size_t count)
{
    *sums = (struct report_sums){.sums = NULL};
    for (size_t i = 0; i < count; i++) {
        struct report_sum sum = random_sum();
        assert_int_equal(report_sums_add(sums, &sum, 1), ERR_OK);
    }
}

/* What a key has in all, looked for one by one. */
static struct report_sum total_of(const struct report_sums *sums, uint64_t key)
{
    struct report_sum total = {key, 0, 0};
    for (size_t i = 0; i < sums->count; i++) {
        if (sums->sums[i].key != key) continue;
        total.count += sums->sums[i].count;
        total.amount += sums->sums[i].amount;
    }
    return total;
}

static bool is_equal(const struct report_sum *a, const struct report_sum *b)
{
    return a->key == b->key && a->count == b->count && a->amount == b->amount;
}

static bool is_settled(const struct report_sums *sums)
{
    for (size_t i = 0; i < sums->count; i++) {
        if (i && sums->sums[i - 1].key >= sums->sums[i].key) return false;
        if (sums->sums[i].count == 0 && sums->sums[i].amount == 0) return false;
    }
    return true;
}

/* As many keys as there are with something, and each with its total. */
static bool is_sum_of(const struct report_sums *settled, const struct report_sums *raw)
{
    for (size_t i = 0; i < settled->count; i++) {
        struct report_sum total = total_of(raw, settled->sums[i].key);
        if (!is_equal(&total, &settled->sums[i])) return false;
    }
    for (size_t i = 0; i < raw->count; i++) {
        struct report_sum total = total_of(raw, raw->sums[i].key);
        struct report_sum found = total_of(settled, raw->sums[i].key);
        if (!is_equal(&total, &found)) return false;
    }
    return is_settled(settled);
}

static void settled_sums_are_what_was_added(void **unused)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct report_sums raw, settled = {.sums = NULL};
        fill(&raw, roll(SUMS_MAX));
        assert_int_equal(report_sums_add(&settled, raw.sums, raw.count), ERR_OK);
        report_sums_settle(&settled);
        assert_true(is_sum_of(&settled, &raw));
        if (settled.count > 1) { /* the judge can fail */
            settled.sums[roll(settled.count)].amount++;
            assert_false(is_sum_of(&settled, &raw));
        }
        report_sums_free(&raw);
        report_sums_free(&settled);
    }
}

static void merged_sums_are_those_of_both(void **unused)
{
    struct report_sums merged = {.sums = NULL};
    for (int round = 0; round < ROUNDS; round++) {
        struct report_sums a, b, all = {.sums = NULL};
        fill(&a, roll(SUMS_MAX));
        fill(&b, roll(SUMS_MAX));
        assert_int_equal(report_sums_add(&all, a.sums, a.count), ERR_OK);
        assert_int_equal(report_sums_add(&all, b.sums, b.count), ERR_OK);
        report_sums_settle(&a);
        report_sums_settle(&b);
        assert_int_equal(report_sums_merge(&merged, &a, &b), ERR_OK);
        assert_true(is_sum_of(&merged, &all));
        report_sums_free(&a);
        report_sums_free(&b);
        report_sums_free(&all);
    }
    report_sums_free(&merged);
}

/* How many of the sums come out again as they were; *is_whole: and nothing is left. */
static size_t unpack(struct span bytes, const struct report_sums *sums, bool *is_whole)
{
    struct report_packed packed;
    struct report_sum sum;
    size_t count = 0;
    report_packed_begin(&packed, bytes, CHUNK);
    while (report_packed_next(&packed, &sum) && count < sums->count &&
           is_equal(&sum, &sums->sums[count]))
        count++;
    *is_whole = packed.rest.len == 0;
    return count;
}

static void packed_sums_come_out_as_they_were(void **unused)
{
    struct report_bytes bytes = {.bytes = NULL};
    for (int round = 0; round < ROUNDS; round++) {
        struct report_sums sums;
        bool is_whole;
        fill(&sums, 1 + roll(SUMS_MAX));
        report_sums_settle(&sums);
        assert_int_equal(report_pack(&bytes, sums.sums, sums.count), ERR_OK);
        struct span packed = {bytes.bytes, bytes.len};
        assert_int_equal(unpack(packed, &sums, &is_whole), sums.count);
        assert_true(is_whole);
        if (bytes.len) { /* half a sum is told */
            packed.len--;
            assert_int_equal(unpack(packed, &sums, &is_whole), sums.count - 1);
            assert_false(is_whole);
        }
        report_sums_free(&sums);
    }
    free(bytes.bytes);
}

struct damage {
    const char *name, *bytes;
    size_t len;
};

#define DAMAGE(name, bytes)                                                                        \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1                                                             \
    }

static const struct damage damages[] = {
    DAMAGE("half a sum", "\x01\x01\x02"),
    DAMAGE("a number without an end", "\x01\x01\x80\x80"),
    DAMAGE("an ad of another chunk", "\x80\x20\x01\x02\x02"),
    DAMAGE("an ad past all", "\xff\xff\xff\xff\x7f\x01\x02\x02"),
    DAMAGE("a kind past all", "\x01\xff\xff\xff\xff\x7f\x02\x02"),
    DAMAGE("a count of eleven bytes", "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02"),
    DAMAGE("an amount of twenty bytes", "\x01\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
};

static void damage_ends_what_is_read(void **row)
{
    const struct damage *damage = *row;
    struct report_packed packed;
    struct report_sum sum;
    report_packed_begin(&packed, (struct span){damage->bytes, damage->len}, CHUNK);
    assert_false(report_packed_next(&packed, &sum));
    assert_int_equal(packed.rest.len, damage->len);
}

static void texts_have_numbers_in_the_order_of_their_coming(void **unused)
{
    enum { TEXTS = 5000 };
    struct report_texts texts = {.slots = NULL};
    char text[32];
    for (uint32_t turn = 0; turn < 2; turn++)
        for (uint32_t i = 0; i < TEXTS; i++) {
            uint32_t number;
            bool is_new;
            int len = i ? snprintf(text, sizeof text, "text %u", i) : 0;
            struct span span = {text, (size_t)len};
            assert_int_equal(report_texts_find(&texts, span, &number, &is_new), ERR_OK);
            assert_int_equal(number, i);
            assert_int_equal(is_new, turn == 0);
            assert_true(span_eq(report_texts_get(&texts, number), span));
        }
    report_texts_free(&texts);
}

int main(void)
{
    state = random_seed("report_sums");
    UNIT_ADD(settled_sums_are_what_was_added);
    UNIT_ADD(merged_sums_are_those_of_both);
    UNIT_ADD(packed_sums_come_out_as_they_were);
    UNIT_ADD_ROWS(damages, damage_ends_what_is_read);
    UNIT_ADD(texts_have_numbers_in_the_order_of_their_coming);
    return UNIT_RUN_ADDED("report_sums");
}
