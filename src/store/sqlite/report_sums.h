#pragma once

#include "base/err.h"
#include "base/span.h"
#include "store/sqlite/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sums in memory, and packed into the rows of `agg`: a row has those of one time and of
 * REPORT_CHUNK ads, so that a report takes some nanoseconds for each, not the microsecond of a row.
 */

/* What sums are by, `names` of a row: one name alone (an enum report_dimension below REPORT_IDS),
 * none, or all five. */
enum { REPORT_BY_NONE = REPORT_IDS, REPORT_BY_ALL, REPORT_NAMES };

/* Quarters of an hour in what a row is of, its `unit`: a report reads the coarsest that will do. */
enum { REPORT_QUARTER = 1, REPORT_HOURS = 4, REPORT_DAYS = 96 };

/* Ads of a row, and events that are counted at once: many enough for the sums to be few, few enough
 * for the log's WAL not to wait for a step. */
enum { REPORT_CHUNK = 4096, REPORT_STEP = 32768 };

struct report_sum {
    uint64_t key; /* ad << 32 | kind: in this order they are packed */
    int64_t count;
    report_amount amount;
};

struct report_sums {
    struct report_sum *sums;
    size_t count, cap;
};

static inline uint64_t report_key(uint32_t ad, uint32_t kind)
{
    return (uint64_t)ad << 32 | kind;
}

static inline uint32_t report_key_ad(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

static inline uint32_t report_key_kind(uint64_t key)
{
    return (uint32_t)key;
}

enum err report_sums_add(struct report_sums *sums, const struct report_sum *sum, size_t count);
void report_sums_settle(
    struct report_sums *sums); /* in order, each key once, and none of nothing */
void report_sums_free(struct report_sums *sums);

/* Of two settled ones, settled. */
enum err report_sums_merge(struct report_sums *out, const struct report_sums *a,
                           const struct report_sums *b);

/* Bytes that grow. */
struct report_bytes {
    char *bytes;
    size_t len, cap;
};

/* Settled sums of one chunk. */
enum err report_pack(struct report_bytes *out, const struct report_sum *sums, size_t count);

/* The next sum of a packed row; false: there is none, or `rest` is damaged, and then not empty. */
struct report_packed {
    struct span rest;
    uint64_t key;
    uint32_t ad_end;
};
void report_packed_begin(struct report_packed *packed, struct span bytes, int64_t chunk);
bool report_packed_next(struct report_packed *packed, struct report_sum *sum);

/* Texts, each with a number: 0, 1, 2 ... in the order of their coming. */
struct report_texts {
    struct report_bytes bytes;
    size_t *ends; /* of each in bytes */
    size_t count, ends_cap;
    uint32_t *slots; /* number + 1, by hash */
    size_t slots_cap;
    uint8_t key[16];
};

enum err report_texts_find(struct report_texts *texts, struct span text, uint32_t *number,
                           bool *is_new);
struct span report_texts_get(const struct report_texts *texts, uint32_t number);
void report_texts_free(struct report_texts *texts);

/* Room for `needed` of `size` bytes each, doubled until it is enough; what is new is zeroed. */
bool report_grow(void **memory, size_t *cap, size_t needed, size_t first, size_t size);

/* report_ids.c: of a step, the numbers that rows of temp.part have in main; what is new is added.
 */
struct report_ads {
    uint32_t
        by[REPORT_NAMES]; /* the ad itself, and what stands for all that share a name with it */
};

struct report_ids {
    struct report_db *db;
    sqlite3_stmt *find_ad, *add_ad, *find_kind, *add_kind;
    int64_t ad_next, kind_next;
    struct report_texts ad_texts, kind_texts; /* that occurred, and what they are: */
    struct report_ads *ads;
    uint32_t *kinds;
    size_t ads_cap, kinds_cap;
    struct report_bytes key;
};

enum err report_ids_begin(struct report_ids *ids, struct report_db *db);
enum err report_ids_ad(struct report_ids *ids, const struct span names[REPORT_IDS],
                       struct report_ads *ads);
enum err report_ids_kind(struct report_ids *ids, int64_t metric, int64_t flagged, struct span label,
                         uint32_t *kind);
void report_ids_end(struct report_ids *ids);

/* Texts one after the other, each with a NUL behind it, which none that is counted has in it. */
bool report_join(struct report_bytes *out, const struct span *texts, size_t count);

/* report_compare.c: how many sums of `kept`, which is attached, differ from main's; at_most: how
 * many are less. */
#define REPORT_IS_ERASED                                                                           \
    "EXISTS (SELECT 1 FROM log.ad_feedback WHERE sent_session_id >= 'erased:'"                     \
    " AND sent_session_id < 'erased;')"
enum err report_compare(struct report_db *db, bool at_most, int64_t *differing);
