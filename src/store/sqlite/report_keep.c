#include "base/assert.h"
#include "store/sqlite/report.h"

/* What was folded, into what is kept. */

enum { SQL_MAX = 2048 };

/* Of a quarter, an hour and a day of UTC: a report reads the coarsest that will do. */
static enum err keep_units(struct report_db *db)
{
    return db_exec(
        db->db,
        "INSERT INTO main.agg SELECT unit, ad, metric, flagged, label, q, n, a,"
        " row_checksum('agg', unit, ad, metric, flagged, label, q, n, a)"
        " FROM (SELECT u.column1 AS unit, d.ad, p.metric, p.flagged, p.label,"
        " p.quarter / u.column1 * u.column1 AS q, sum(p.count) AS n, amount_sum(p.amount) AS a"
        " FROM (VALUES (1), (4), (96)) AS u CROSS JOIN temp.rolled AS p CROSS JOIN main.agg_ad AS d"
        " ON d.advertiser = p.advertiser AND d.publisher = p.publisher AND d.campaign = p.campaign"
        " AND d.product = p.product AND d.placement = p.placement GROUP BY 1, 2, 3, 4, 5, 6)"
        " WHERE true ON CONFLICT DO UPDATE SET count = count + excluded.count,"
        " amount = amount_add(amount, excluded.amount), checksum = row_checksum('agg', unit, ad,"
        " metric, flagged, label, quarter, count + excluded.count,"
        " amount_add(amount, excluded.amount))");
}

/* The part, and its sums by one name alone and by none: where a report needs no more, it need not
 * add up thousands of ads. REPORT_ALL stands for every name of a column. */
static enum err roll_up(struct report_db *db)
{
    static const struct span names[REPORT_IDS] = {
        [REPORT_ADVERTISER] = SPAN_INIT("advertiser"), [REPORT_PUBLISHER] = SPAN_INIT("publisher"),
        [REPORT_CAMPAIGN] = SPAN_INIT("campaign"),     [REPORT_PRODUCT] = SPAN_INIT("product"),
        [REPORT_PLACEMENT] = SPAN_INIT("placement"),
    };
    char sql[SQL_MAX];
    enum err err =
        db_exec(db->db, "DELETE FROM temp.rolled; INSERT INTO temp.rolled SELECT * FROM temp.part");
    for (int kept = 0; kept <= REPORT_IDS && !err; kept++) {
        struct writer out;
        writer_init(&out, sql, sizeof sql);
        writer_lit(&out, "INSERT INTO temp.rolled SELECT quarter");
        for (int i = 0; i < REPORT_IDS; i++) {
            writer_lit(&out, ", ");
            writer_put(&out, i == kept ? names[i] : SPAN(REPORT_ALL));
        }
        writer_lit(&out, ", flagged, metric, label, sum(count), amount_sum(amount) FROM temp.part"
                         " GROUP BY quarter, ");
        if (kept < REPORT_IDS) writer_put(&out, names[kept]);
        if (kept < REPORT_IDS) writer_lit(&out, ", ");
        writer_lit(&out, "flagged, metric, label");
        writer_char(&out, '\0');
        ASSERT(!out.overflow);
        err = db_exec(db->db, sql);
    }
    return err;
}

/* Sums that became nothing go: a recount would not have them. */
enum err report_keep(struct report_db *db)
{
    enum err err = roll_up(db);
    if (err) return err;
    err = db_exec(
        db->db,
        "INSERT INTO main.agg_ad SELECT ad, advertiser, publisher, campaign, product, placement,"
        " row_checksum('agg_ad', ad, advertiser, publisher, campaign, product, placement)"
        " FROM (SELECT (SELECT coalesce(max(ad), 0) FROM main.agg_ad) + row_number() OVER () AS ad,"
        " * FROM (SELECT DISTINCT advertiser, publisher, campaign, product, placement"
        " FROM temp.rolled)) WHERE true ON CONFLICT DO NOTHING");
    if (!err) err = keep_units(db);
    if (err) return err;
    return db_exec(
        db->db,
        "DELETE FROM main.agg WHERE count = 0 AND unit IN (1, 4, 96) AND metric IN (5, 6)"
        " AND ad IN (SELECT d.ad"
        " FROM temp.rolled AS p CROSS JOIN main.agg_ad AS d ON d.advertiser = p.advertiser"
        " AND d.publisher = p.publisher AND d.campaign = p.campaign AND d.product = p.product"
        " AND d.placement = p.placement WHERE p.count <= 0);"
        "DELETE FROM main.agg_opinion WHERE (bid, seq) IN"
        " (SELECT bid, seq FROM temp.signed WHERE sign < 0);"
        "INSERT INTO main.agg_opinion SELECT bid, seq, row_checksum('agg_opinion', bid, seq)"
        " FROM temp.latest");
}
