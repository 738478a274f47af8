#include "store/postgres/batch.h"

#include "base/assert.h"
#include "base/writer.h"
#include "store/checksum.h"
#include "store/erased.h"
#include "store/postgres/merge.h"
#include "store/postgres/result.h"

#include <string.h>

/* Taking a person out of rows: read, told whether they are whole, and written with a checksum that
 * fits what is left. A row that somebody changed meanwhile, or that is damaged, is left as it is.
 */

static const char *const selects[EVENT_TABLES] = {
    [OP_CLICK] = "SELECT * FROM click WHERE seq = ANY($1::bigint[])",
    [OP_CONVERSION] = "SELECT * FROM conversion WHERE seq = ANY($1::bigint[])",
    [OP_SERVER_EVENT] = "SELECT * FROM server_event WHERE seq = ANY($1::bigint[])",
    [OP_IMPRESSION] = "SELECT * FROM impression WHERE seq = ANY($1::bigint[])",
    [OP_FEEDBACK] = "SELECT * FROM feedback WHERE seq = ANY($1::bigint[])",
    [OP_AD_FEEDBACK] = "SELECT * FROM ad_feedback WHERE seq = ANY($1::bigint[])",
    [OP_VOTE] = "SELECT * FROM vote WHERE seq = ANY($1::bigint[])",
};

/* Who rated an ad, and how, stands at the bid's key, too. */
static const char forget_raters_sql[] =
    "UPDATE bid_key SET detail = NULL FROM unnest($1::text[], $2::bigint[]) AS n (bid_id, seq)"
    " WHERE bid_key.bid_id = n.bid_id AND bid_key.kind = $3 AND bid_key.seq = n.seq";

static const char begin_sql[] = "BEGIN", commit_sql[] = "COMMIT";

/* -- checksums ----------------------------------------------------------------------------- */

static uint64_t add_text(uint64_t checksum, struct span text)
{
    return checksum_add(checksum, text.ptr ? CHECKSUM_TEXT : CHECKSUM_NULL, text.ptr, text.len);
}

static const struct erased_column *find_column(enum op_kind table, const char *name)
{
    const struct erased_column *columns = erased_columns(table);
    for (int i = 0; i < ERASED_COLUMNS_MAX && columns[i].name; i++)
        if (strcmp(columns[i].name, name) == 0) return &columns[i];
    return NULL;
}

static struct span value_of(const struct erased_column *column, struct span pseudonym)
{
    if (column->value == ERASED_OBJECT) return SPAN("{}");
    return column->value == ERASED_PSEUDONYM ? pseudonym : SPAN_NONE;
}

struct row_sums {
    int64_t stored; /* the last column */
    int64_t of_row, erased;
};

static struct row_sums sum_row(enum op_kind table, const PGresult *result, int row,
                               struct span pseudonym)
{
    int last = PQnfields(result) - 1;
    uint64_t of_row = checksum_start(event_table_name(table)), erased = of_row;
    for (int i = 0; i < last; i++) {
        const struct erased_column *column = find_column(table, PQfname(result, i));
        of_row = pg_checksum_column(of_row, result, row, i);
        erased = column ? add_text(erased, value_of(column, pseudonym))
                        : pg_checksum_column(erased, result, row, i);
    }
    return (struct row_sums){pg_get_i64(result, row, last), (int64_t)of_row, (int64_t)erased};
}

/* -- statements ---------------------------------------------------------------------------- */

static struct span sql_of(enum erased_value value)
{
    static const struct span texts[] = {
        [ERASED_NULL] = SPAN_INIT("NULL"),
        [ERASED_OBJECT] = SPAN_INIT("'{}'"),
        [ERASED_PSEUDONYM] = SPAN_INIT("n.name"),
    };
    return texts[value];
}

static void write_update(struct writer *sql, enum op_kind table)
{
    const struct erased_column *columns = erased_columns(table);
    writer_lit(sql, "UPDATE ");
    writer_put(sql, event_table_name(table));
    writer_lit(sql, " AS t SET checksum = n.becomes");
    for (int i = 0; i < ERASED_COLUMNS_MAX && columns[i].name; i++) {
        writer_lit(sql, ", ");
        writer_put(sql, span_of(columns[i].name));
        writer_lit(sql, " = ");
        writer_put(sql, sql_of(columns[i].value));
    }
    writer_lit(sql, " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])"
                    " AS n (seq, was, becomes, name)"
                    " WHERE t.seq = n.seq AND t.checksum = n.was");
    writer_char(sql, '\0');
    ASSERT(!sql->overflow);
}

static const char *update_of(struct pg_batch *batch, enum op_kind table)
{
    struct writer sql;
    char *text = batch->erase_sql[table];
    writer_init(&sql, text, sizeof batch->erase_sql[table]);
    if (!text[0]) write_update(&sql, table);
    return text;
}

/* -- rows ---------------------------------------------------------------------------------- */

static struct span pseudonym_of(char text[PSEUDONYM_MAX], const struct erase *erase,
                                const PGresult *result, int row)
{
    if (erase->table != OP_AD_FEEDBACK) return SPAN_NONE;
    struct span session = pg_get_text(result, row, PQfnumber(result, "sent_session_id"));
    return erased_session(text, erase, pg_get_text(result, row, PQfnumber(result, "publisher_id")),
                          session);
}

static void add_rows(struct pg_store *store, const struct erase *erase, const PGresult *result)
{
    pg_params_reset(&store->params, 4);
    for (int row = 0; row < pg_rows(result); row++) {
        char text[PSEUDONYM_MAX];
        struct span pseudonym = pseudonym_of(text, erase, result, row);
        struct row_sums sums = sum_row(erase->table, result, row, pseudonym);
        if (sums.stored != sums.of_row) continue;
        pg_add_i64(&store->params, 0, pg_get_i64(result, row, 0));
        pg_add_i64(&store->params, 1, sums.stored);
        pg_add_i64(&store->params, 2, sums.erased);
        pg_add_text(&store->params, 3, pseudonym);
    }
}

static void add_bids(struct pg_store *store, const PGresult *result)
{
    pg_params_reset(&store->params, 3);
    for (int row = 0; row < pg_rows(result); row++) {
        pg_add_text(&store->params, 0, pg_get_text(result, row, PQfnumber(result, "bid_id")));
        pg_add_i64(&store->params, 1, pg_get_i64(result, row, 0));
    }
    pg_set_i64(&store->params, 2, OP_AD_FEEDBACK);
}

static enum pg_failure write_rows(struct pg_store *store, struct erase *erase,
                                  const PGresult *result)
{
    struct pg_connection *connection = &store->connection;
    pg_send(connection, begin_sql, NULL);
    add_rows(store, erase, result);
    pg_send(connection, update_of(store->batch, erase->table), &store->params);
    if (erase->table == OP_AD_FEEDBACK) {
        add_bids(store, result);
        pg_send(connection, forget_raters_sql, &store->params);
    }
    pg_send(connection, commit_sql, NULL);
    pg_flush(connection);
    pg_skip(connection);
    PGresult *updated = pg_result(connection);
    erase->erased_count = updated ? (uint32_t)pg_changed(updated) : 0;
    PQclear(updated);
    return pg_finish(connection);
}

enum pg_failure pg_erase_apply(struct pg_store *store, struct op *op)
{
    struct erase *erase = &op->erase;
    PGresult *result = NULL;
    ASSERT(erase->table <= OP_VOTE && erase->rows_count <= ERASE_ROWS_MAX);
    erase->erased_count = 0;
    pg_params_reset(&store->params, 1);
    for (uint32_t i = 0; i < erase->rows_count; i++)
        pg_add_i64(&store->params, 0, (int64_t)erase->rows[i]);
    enum pg_failure failure =
        pg_run(&store->connection, selects[erase->table], &store->params, &result);
    if (!failure && pg_rows(result) > 0) failure = write_rows(store, erase, result);
    PQclear(result);
    if (!failure) op->outcome = OUTCOME_RECORDED;
    return failure;
}
