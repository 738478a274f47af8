#include "store/keep.h"
#include "store/postgres/batch.h"
#include "store/postgres/result.h"

/* Retention: days of events that nothing needs any more go as wholes, a few of one table at a time.
 * What makes an event count once is kept by itself, so that no row of an event is needed for it. */

static enum pg_failure read_clock(struct pg_store *store)
{
    static const char sql[] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    PGresult *row;
    enum pg_failure failure = pg_run(&store->connection, sql, NULL, &row);
    if (!failure) store->database_ms = pg_get_i64(row, 0, 0);
    PQclear(row);
    return failure;
}

/* What points at others goes before them. */
enum pg_failure pg_retain_apply(struct pg_store *store, struct op *op)
{
    static const enum op_kind order[] = {OP_CONVERSION, OP_CLICK,       OP_FEEDBACK,
                                         OP_IMPRESSION, OP_AD_FEEDBACK, OP_SERVER_EVENT};
    const struct store_options *options = &store->options;
    struct keep keep =
        keep_of(op->retain.keep_ms, options, options->click_ttl_ms, options->impression_ttl_ms);
    int64_t dropped = 0;
    enum pg_failure failure = read_clock(store);
    for (size_t i = 0; i < sizeof order / sizeof order[0] && !failure && !dropped; i++)
        failure = pg_partitions_drop(store, order[i], store->database_ms - keep.kept_ms[order[i]],
                                     &dropped);
    op->retain.removed_count = dropped ? op->retain.rows_max : 0; /* there may be more */
    if (!failure) op->outcome = OUTCOME_RECORDED;
    return failure;
}
