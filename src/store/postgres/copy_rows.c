#include "store/postgres/copy.h"

#include "base/assert.h"
#include "base/uninitialized.h"
#include "store/checksum.h"
#include "json/json.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

/* What a row of a data file becomes: the same row, and the keys that the engine would have written
 * with it. */

/* Slots of clicks and ratings go on where the bid's are; others have one. What is there already
 * stands. */
static const char *const key_inserts[COPY_KEYS] = {
    [COPY_CLICK_KEYS] =
        "INSERT INTO click_key (click_id, seq, bid_id, advertiser_id, expires_at_ms)"
        " SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])"
        " ON CONFLICT (click_id) DO NOTHING",
    [COPY_CONVERSION_KEYS] =
        "INSERT INTO conversion_key (click_id, partner_id, event_type, layer, key, seq,"
        " expires_at_ms) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[],"
        " $5::text[], $6::bigint[], $7::bigint[])"
        " ON CONFLICT (click_id, partner_id, event_type, layer, key) DO NOTHING",
    [COPY_BID_KEYS] =
        "INSERT INTO bid_key (bid_id, kind, slot, seq, recorded_at_ms, detail)"
        " SELECT n.bid_id, n.kind, CASE WHEN n.is_counted = 0 THEN 0 ELSE"
        " (SELECT coalesce(max(k.slot), 0) FROM bid_key k"
        " WHERE k.bid_id = n.bid_id AND k.kind = n.kind)"
        " + row_number() OVER (PARTITION BY n.bid_id, n.kind ORDER BY n.seq) END,"
        " n.seq, n.recorded_at_ms, n.detail"
        " FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[],"
        " $6::text[]) AS n (bid_id, kind, is_counted, seq, recorded_at_ms, detail)"
        " ON CONFLICT (bid_id, kind, slot) DO NOTHING",
    [COPY_EVENT_KEYS] =
        "INSERT INTO event_key (tag_id, partner_id, event_id, seq, recorded_at_ms)"
        " SELECT DISTINCT ON (n.tag_id, n.partner_id, n.event_id) n.tag_id, n.partner_id,"
        " n.event_id, n.seq, n.recorded_at_ms"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])"
        " AS n (tag_id, partner_id, event_id, seq, recorded_at_ms)"
        " ORDER BY n.tag_id, n.partner_id, n.event_id, n.seq DESC"
        " ON CONFLICT (tag_id, partner_id, event_id)"
        " DO UPDATE SET seq = excluded.seq, recorded_at_ms = excluded.recorded_at_ms",
    [COPY_SESSION_KEYS] =
        "INSERT INTO session_key (publisher_id, session_id, slot, recorded_at_ms)"
        " SELECT n.publisher_id, n.session_id, (SELECT coalesce(max(k.slot), 0) FROM session_key k"
        " WHERE k.publisher_id = n.publisher_id AND k.session_id = n.session_id) + row_number()"
        " OVER (PARTITION BY n.publisher_id, n.session_id ORDER BY n.seq), n.recorded_at_ms"
        " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])"
        " AS n (publisher_id, session_id, seq, recorded_at_ms)",
};

static const int key_params[COPY_KEYS] = {
    [COPY_CLICK_KEYS] = 5, [COPY_CONVERSION_KEYS] = 7, [COPY_BID_KEYS] = 6,
    [COPY_EVENT_KEYS] = 5, [COPY_SESSION_KEYS] = 4,
};

enum { SESSION_MS = 60 * 1000, MARGIN_MS = 60 * 60 * 1000 };

static void write_insert(struct writer *sql, const struct merge_table *table)
{
    int columns = sqlite3_column_count(table->rows);
    writer_lit(sql, "INSERT INTO ");
    writer_put(sql, table->name);
    writer_lit(sql, " SELECT * FROM unnest(");
    for (int i = 0; i < columns; i++) {
        const char *type = sqlite3_column_decltype(table->rows, i);
        bool is_number = type && strcmp(type, "INTEGER") == 0;
        writer_put(sql, i ? SPAN(", $") : SPAN("$"));
        writer_u64(sql, (uint64_t)i + 1);
        writer_put(sql, is_number ? SPAN("::bigint[]") : SPAN("::text[]"));
    }
    writer_lit(sql, ")");
    writer_char(sql, '\0');
    ASSERT(!sql->overflow);
}

enum err copy_rows_begin(struct pg_copy *copy)
{
    enum err err = ERR_OK;
    for (int i = 0; i < EVENT_TABLES && !err; i++) {
        struct writer sql;
        err = merge_add(&copy->merge, (enum op_kind)i);
        writer_init(&sql, copy->insert_sql[i], COPY_SQL_MAX);
        if (!err) write_insert(&sql, &copy->merge.tables[i]);
    }
    return err ? err
               : db_prepare(copy->merge.db, &copy->click_end,
                            "SELECT expires_at_ms FROM click WHERE seq = ?");
}

void copy_part_reset(struct pg_copy *copy)
{
    for (int i = 0; i < EVENT_TABLES; i++) {
        pg_params_reset(&copy->events[i], sqlite3_column_count(copy->merge.tables[i].rows));
        copy->events_count[i] = 0;
    }
    for (int i = 0; i < COPY_KEYS; i++) {
        pg_params_reset(&copy->keys[i], key_params[i]);
        copy->keys_count[i] = 0;
    }
}

void copy_part_send(struct pg_copy *copy)
{
    for (int i = 0; i < EVENT_TABLES; i++)
        if (copy->events_count[i])
            pg_send(&copy->connection, copy->insert_sql[i], &copy->events[i]);
    for (int i = 0; i < COPY_KEYS; i++)
        if (copy->keys_count[i]) pg_send(&copy->connection, key_inserts[i], &copy->keys[i]);
}

/* -- texts that a database does not take --------------------------------------------------- */

static bool is_storable(struct span text)
{
    return !text.len || (json_utf8_valid(text) && !memchr(text.ptr, 0, text.len));
}

/* As exports write it: what is no UTF-8 is ISO 8859-1. A byte of value 0 becomes a blank. */
static struct span storable(struct pg_copy *copy, struct span text)
{
    bool is_utf8 = json_utf8_valid(text);
    char *begin = copy->texts + copy->texts_len, *at = begin;
    if (COPY_TEXTS_MAX - copy->texts_len < 2 * text.len) return SPAN_NONE;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x80 && !is_utf8) *at++ = (char)(0xc0 | c >> 6);
        *at++ = (char)(c >= 0x80 && !is_utf8 ? (0x80 | (c & 0x3f)) : c ? c : ' ');
    }
    copy->texts_len += (size_t)(at - begin);
    return (struct span){begin, (size_t)(at - begin)};
}

static bool make_storable(struct pg_copy *copy, struct text_row *row)
{
    bool is_changed = false;
    copy->texts_len = 0;
    for (int i = 0; i < row->count; i++) {
        struct row_cell *cell = &row->cells[i];
        if (cell->is_text && !is_storable(cell->text)) {
            cell->text = storable(copy, cell->text);
            is_changed = true;
        } else if (!cell->is_text && span_eq(row->names[i], SPAN("recorded_at_ms"))) {
            int64_t time_ms = pg_partition_time(cell->number, copy->database_ms);
            is_changed = is_changed || time_ms != cell->number;
            cell->number = time_ms;
        }
    }
    return is_changed;
}

static uint64_t sum_of(struct span table, const struct text_row *row)
{
    uint64_t sum = checksum_start(table);
    for (int i = 0; i < row->count; i++) {
        const struct row_cell *cell = &row->cells[i];
        if (!cell->is_text)
            sum = checksum_add_i64(sum, cell->number);
        else
            sum = checksum_add(sum, cell->text.ptr ? CHECKSUM_TEXT : CHECKSUM_NULL, cell->text.ptr,
                               cell->text.len);
    }
    return sum;
}

/* -- keys ---------------------------------------------------------------------------------- */

static const struct row_cell *cell_of(const struct text_row *row, const char *name)
{
    for (int i = 0; i < row->count; i++)
        if (span_eq(row->names[i], span_of(name))) return &row->cells[i];
    static const struct row_cell none = {.is_text = true};
    return &none;
}

static struct span text_of(const struct text_row *row, const char *name)
{
    return cell_of(row, name)->text;
}

static int64_t number_of(const struct text_row *row, const char *name)
{
    return cell_of(row, name)->number;
}

static struct pg_params *new_key(struct pg_copy *copy, enum copy_keys keys)
{
    copy->keys_count[keys]++;
    return &copy->keys[keys];
}

static void add_bid_key(struct pg_copy *copy, enum op_kind kind, const struct text_row *row,
                        struct span detail)
{
    struct span bid_id = text_of(row, "bid_id");
    if (!bid_id.ptr) return;
    struct pg_params *params = new_key(copy, COPY_BID_KEYS);
    pg_add_text(params, 0, bid_id);
    pg_add_i64(params, 1, kind);
    pg_add_i64(params, 2, kind == OP_CLICK || kind == OP_AD_FEEDBACK);
    pg_add_i64(params, 3, number_of(row, "seq"));
    pg_add_i64(params, 4, number_of(row, "recorded_at_ms"));
    pg_add_text(params, 5, detail);
}

static bool has_ended(const struct pg_copy *copy, int64_t expires_at_ms)
{
    return expires_at_ms < copy->database_ms - MARGIN_MS;
}

static void add_click_keys(struct pg_copy *copy, const struct text_row *row)
{
    add_bid_key(copy, OP_CLICK, row, SPAN_NONE);
    if (has_ended(copy, number_of(row, "expires_at_ms"))) return;
    struct pg_params *params = new_key(copy, COPY_CLICK_KEYS);
    pg_add_text(params, 0, text_of(row, "click_id"));
    pg_add_i64(params, 1, number_of(row, "seq"));
    pg_add_text(params, 2, text_of(row, "bid_id"));
    pg_add_text(params, 3, text_of(row, "advertiser_id"));
    pg_add_i64(params, 4, number_of(row, "expires_at_ms"));
}

/* 0: the click is gone, and nobody can convert it any more. */
static int64_t end_of_click(struct pg_copy *copy, int64_t sequence)
{
    int64_t expires_at_ms = 0;
    sqlite3_bind_int64(copy->click_end, 1, sequence);
    if (sqlite3_step(copy->click_end) == SQLITE_ROW)
        expires_at_ms = sqlite3_column_int64(copy->click_end, 0);
    sqlite3_reset(copy->click_end);
    return expires_at_ms;
}

static void add_conversion_keys(struct pg_copy *copy, const struct text_row *row)
{
    const struct conversion conversion = {
        .idempotency_key = text_of(row, "idempotency_key"),
        .event_id = text_of(row, "event_id"),
        .order_id = text_of(row, "order_id"),
    };
    int64_t expires_at_ms = end_of_click(copy, number_of(row, "click_seq"));
    if (has_ended(copy, expires_at_ms)) return;
    for (int layer = 0; layer < DEDUP_LAYERS; layer++) {
        struct span key = conversion_key_text(&conversion, (enum dedup_layer)layer);
        if (!key.ptr) continue;
        struct pg_params *params = new_key(copy, COPY_CONVERSION_KEYS);
        pg_add_text(params, 0, text_of(row, "click_id"));
        pg_add_text(params, 1, text_of(row, "partner_id"));
        pg_add_text(params, 2, text_of(row, "event_type"));
        pg_add_i64(params, 3, layer);
        pg_add_text(params, 4, key);
        pg_add_i64(params, 5, number_of(row, "seq"));
        pg_add_i64(params, 6, expires_at_ms);
    }
}

static void add_event_key(struct pg_copy *copy, const struct text_row *row)
{
    if (!text_of(row, "event_id").ptr) return;
    struct pg_params *params = new_key(copy, COPY_EVENT_KEYS);
    pg_add_text(params, 0, text_of(row, "tag_id"));
    pg_add_text(params, 1, text_of(row, "partner_id"));
    pg_add_text(params, 2, text_of(row, "event_id"));
    pg_add_i64(params, 3, number_of(row, "seq"));
    pg_add_i64(params, 4, number_of(row, "recorded_at_ms"));
}

static void add_ad_feedback_keys(struct pg_copy *copy, const struct text_row *row)
{
    struct batch_op rating UNINITIALIZED;
    struct op op UNINITIALIZED;
    char detail[RATING_DETAIL_LEN];
    op.ad_feedback = (struct ad_feedback){
        .sentiment = text_of(row, "sentiment"),
        .reasons = text_of(row, "reasons"),
        .comment = text_of(row, "comment"),
        .sent_placement = text_of(row, "sent_placement"),
        .sent_placement_id = text_of(row, "sent_placement_id"),
        .sent_user_id = text_of(row, "sent_user_id"),
    };
    rating.op = &op;
    batch_rater(copy->secrets, text_of(row, "publisher_id"), text_of(row, "sent_session_id"),
                rating.rater);
    batch_rating(copy->secrets, &op.ad_feedback, rating.digest);
    bool has_id = uuid_read(&op.ad_feedback.id, text_of(row, "feedback_id"));
    batch_rating_detail(&rating, detail);
    add_bid_key(copy, OP_AD_FEEDBACK, row,
                has_id ? (struct span){detail, sizeof detail} : SPAN_NONE);
    if (number_of(row, "recorded_at_ms") < copy->database_ms - SESSION_MS) return;
    struct pg_params *params = new_key(copy, COPY_SESSION_KEYS);
    pg_add_text(params, 0, text_of(row, "publisher_id"));
    pg_add_text(params, 1, (struct span){rating.rater, sizeof rating.rater});
    pg_add_i64(params, 2, number_of(row, "seq"));
    pg_add_i64(params, 3, number_of(row, "recorded_at_ms"));
}

static void add_keys(struct pg_copy *copy, enum op_kind kind, const struct text_row *row)
{
    switch (kind) {
    case OP_CLICK:
        add_click_keys(copy, row);
        break;
    case OP_CONVERSION:
        add_conversion_keys(copy, row);
        break;
    case OP_SERVER_EVENT:
        add_event_key(copy, row);
        break;
    case OP_AD_FEEDBACK:
        add_ad_feedback_keys(copy, row);
        break;
    default:
        add_bid_key(copy, kind, row, kind == OP_VOTE ? text_of(row, "option_id") : SPAN_NONE);
        break;
    }
}

/* -- rows ---------------------------------------------------------------------------------- */

enum err copy_row(void *arg, const struct merge_table *table)
{
    struct pg_copy *copy = arg;
    struct text_row row UNINITIALIZED;
    struct pg_params *params = &copy->events[table->kind];
    merge_take(table, &row);
    int64_t checksum = sqlite3_column_int64(table->rows, row.count);
    if (make_storable(copy, &row)) checksum = (int64_t)sum_of(table->name, &row);
    for (int i = 0; i < row.count; i++) {
        if (row.cells[i].is_text)
            pg_add_text(params, i, row.cells[i].text);
        else
            pg_add_i64(params, i, row.cells[i].number);
    }
    pg_add_i64(params, row.count, checksum);
    copy->events_count[table->kind]++;
    add_keys(copy, table->kind, &row);
    return params->is_out_of_memory ? ERR_NO_MEMORY : ERR_OK;
}
