#include "store/sqlite/report_sums.h"

#include <stdlib.h>

/* The sums of two databases, which gave numbers to ads and kinds in an order of their own: those of
 * `kept` are told in main's. */

enum { NUMBERS_FIRST = 1024 };

/* What main does not have is none of its numbers, and what is not compared is no number at all. */
static const uint32_t ONLY_KEPT = 0x80000000, NOT_COMPARED = UINT32_MAX;

struct numbers {
    uint32_t *of;
    size_t cap;
};

struct compare {
    struct report_db *db;
    bool at_most; /* main's may be less, or not there */
    struct numbers ads, kinds, main_kinds;
    sqlite3_stmt *read_main, *read_kept;
    struct report_sums main, kept;
    int64_t differing;
};

/* Rows of a number and what it stands for; NULL: for nothing. */
static enum err read_numbers(struct report_db *db, const char *sql, struct numbers *numbers)
{
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(db->db, &rows, sql);
    while (!err && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        size_t number = (size_t)sqlite3_column_int64(rows, 0);
        if (number >= ONLY_KEPT)
            err = ERR_CORRUPT;
        else if (!report_grow((void **)&numbers->of, &numbers->cap, number + 1, NUMBERS_FIRST,
                              sizeof *numbers->of))
            err = ERR_NO_MEMORY;
        else
            numbers->of[number] = (uint32_t)sqlite3_column_int64(rows, 1);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db->db);
    sqlite3_finalize(rows);
    return err;
}

/* 0 stands for nothing, so a number that has no row is one that only `kept` has. */
static uint32_t number_of(const struct numbers *numbers, uint32_t number)
{
    uint32_t of = number < numbers->cap ? numbers->of[number] : 0;
    return of ? of : ONLY_KEPT | number;
}

static enum err add_packed(struct report_sums *sums, struct span bytes, int64_t chunk,
                           const struct numbers *ads, const struct numbers *kinds)
{
    struct report_packed packed;
    struct report_sum sum;
    enum err err = ERR_OK;
    report_packed_begin(&packed, bytes, chunk);
    while (!err && report_packed_next(&packed, &sum)) {
        uint32_t ad = report_key_ad(sum.key), kind = number_of(kinds, report_key_kind(sum.key));
        if (kind == NOT_COMPARED) continue;
        sum.key = report_key(ads ? number_of(ads, ad) : ad, kind);
        err = report_sums_add(sums, &sum, 1);
    }
    return err ? err : packed.rest.len ? ERR_CORRUPT : ERR_OK;
}

/* All chunks of one time. */
static enum err read_sums(struct compare *compare, sqlite3_stmt *rows, sqlite3_stmt *place,
                          struct report_sums *sums, const struct numbers *ads,
                          const struct numbers *kinds)
{
    int code = SQLITE_DONE;
    enum err err = ERR_OK;
    sums->count = 0;
    for (int i = 0; i < 3; i++)
        sqlite3_bind_int64(rows, i + 1, sqlite3_column_int64(place, i));
    while (!err && (code = sqlite3_step(rows)) == SQLITE_ROW)
        err = add_packed(sums, db_column_text(rows, 1), sqlite3_column_int64(rows, 0), ads, kinds);
    if (!err && code != SQLITE_DONE) err = db_last_err(compare->db->db);
    sqlite3_reset(rows);
    report_sums_settle(sums);
    return err;
}

static void count_differing(struct compare *compare)
{
    const struct report_sums *main = &compare->main, *kept = &compare->kept;
    size_t i = 0, k = 0;
    while (i < main->count || k < kept->count) {
        bool is_main =
            k == kept->count || (i < main->count && main->sums[i].key <= kept->sums[k].key);
        bool is_kept =
            i == main->count || (k < kept->count && kept->sums[k].key <= main->sums[i].key);
        int64_t count = is_main ? main->sums[i].count : 0;
        report_amount amount = is_main ? main->sums[i].amount : 0;
        int64_t kept_count = is_kept ? kept->sums[k].count : 0;
        report_amount kept_amount = is_kept ? kept->sums[k].amount : 0;
        bool differs =
            compare->at_most ? count > kept_count : count != kept_count || amount != kept_amount;
        compare->differing += differs;
        i += is_main;
        k += is_kept;
    }
}

static enum err compare_all(struct compare *compare)
{
    sqlite3_stmt *places = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(compare->db->db, &places,
                              "SELECT names, unit, quarter FROM main.agg UNION"
                              " SELECT names, unit, quarter FROM kept.agg");
    while (!err && (code = sqlite3_step(places)) == SQLITE_ROW) {
        err = read_sums(compare, compare->read_main, places, &compare->main, NULL,
                        &compare->main_kinds);
        if (!err)
            err = read_sums(compare, compare->read_kept, places, &compare->kept, &compare->ads,
                            &compare->kinds);
        if (!err) count_differing(compare);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(compare->db->db);
    sqlite3_finalize(places);
    return err;
}

/* Sessions that erasure renamed have other names in a recount: whose minds changed is no longer
 * told, so feedback is compared only where nothing was erased. 4294967295 is NOT_COMPARED. */
#define KIND(metric, kind)                                                                         \
    "CASE WHEN " metric " IN (5, 6) AND " REPORT_IS_ERASED " THEN 4294967295 ELSE " kind " END"
#define OF_PLACE ".agg WHERE names = ? AND unit = ? AND quarter = ?"

static enum err prepare(struct compare *compare)
{
    struct report_db *db = compare->db;
    enum err err =
        read_numbers(db,
                     "SELECT k.ad, coalesce(m.ad, 0) FROM kept.agg_ad AS k LEFT JOIN main.agg_ad"
                     " AS m USING (names, campaign, advertiser, publisher, product, placement)",
                     &compare->ads);
    if (!err)
        err = read_numbers(
            db,
            "SELECT k.kind, " KIND(
                "k.metric",
                "coalesce(m.kind, 0)") " FROM kept.agg_kind AS k LEFT JOIN main.agg_kind AS m"
                                       " USING (metric, flagged, label)",
            &compare->kinds);
    if (!err)
        err = read_numbers(db, "SELECT kind, " KIND("metric", "kind") " FROM main.agg_kind",
                           &compare->main_kinds);
    if (!err)
        err = db_prepare(db->db, &compare->read_main, "SELECT chunk, sums FROM main" OF_PLACE);
    if (!err)
        err = db_prepare(db->db, &compare->read_kept, "SELECT chunk, sums FROM kept" OF_PLACE);
    return err;
}

enum err report_compare(struct report_db *db, bool at_most, int64_t *differing)
{
    struct compare compare = {.db = db, .at_most = at_most};
    enum err err = prepare(&compare);
    if (!err) err = compare_all(&compare);
    sqlite3_finalize(compare.read_main);
    sqlite3_finalize(compare.read_kept);
    free(compare.ads.of);
    free(compare.kinds.of);
    free(compare.main_kinds.of);
    report_sums_free(&compare.main);
    report_sums_free(&compare.kept);
    *differing = compare.differing;
    return err;
}
