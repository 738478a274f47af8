#include "store/postgres/copy_target.h"

#include "base/assert.h"
#include "base/uninitialized.h"
#include "store/checksum.h"
#include "json/json.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

/* What a row of a data file becomes: the same row, and the keys that the engine would have written
 * with it. */

/* A conversion whose click has no key can be made by nobody any more. Slots of clicks and ratings
 * go on where the bid's are; others have one. What is there already stands. */
static const char *const key_inserts[COPY_KEYS] = {
    [COPY_CLICK_KEYS] =
        "INSERT INTO click_key (click_id, seq, bid_id, advertiser_id, expires_at_ms)"
        " SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])"
        " ON CONFLICT (click_id) DO NOTHING",
    [COPY_CONVERSION_KEYS] =
        "INSERT INTO conversion_key (click_id, partner_id, event_type, layer, key, seq,"
        " expires_at_ms) SELECT n.*, k.expires_at_ms FROM unnest($1::text[], $2::text[],"
        " $3::text[], $4::smallint[], $5::text[], $6::bigint[])"
        " AS n (click_id, partner_id, event_type, layer, key, seq)"
        " JOIN click_key k ON k.click_id = n.click_id"
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
    [COPY_CLICK_KEYS] = 5, [COPY_CONVERSION_KEYS] = 6, [COPY_BID_KEYS] = 6,
    [COPY_EVENT_KEYS] = 5, [COPY_SESSION_KEYS] = 4,
};

enum { SESSION_MS = 60 * 1000, MARGIN_MS = 60 * 60 * 1000, OID_BIGINT = 20 };

static void write_insert(char sql[COPY_SQL_MAX], struct span table, const PGresult *columns)
{
    struct writer out;
    writer_init(&out, sql, COPY_SQL_MAX);
    writer_lit(&out, "INSERT INTO ");
    writer_put(&out, table);
    writer_lit(&out, " SELECT * FROM unnest(");
    for (int i = 0; i < PQnfields(columns); i++) {
        bool is_number = PQftype(columns, i) == OID_BIGINT;
        writer_put(&out, i ? SPAN(", $") : SPAN("$"));
        writer_u64(&out, (uint64_t)i + 1);
        writer_put(&out, is_number ? SPAN("::bigint[]") : SPAN("::text[]"));
    }
    writer_lit(&out, ")");
    writer_char(&out, '\0');
    ASSERT(!out.overflow);
}

enum pg_failure copy_rows_begin(struct pg_target *target)
{
    struct pg_connection *connection = &target->connection;
    enum pg_failure failure = PG_FINE;
    for (int i = 0; i < EVENT_TABLES && !failure; i++) {
        struct span table = event_table_name((enum op_kind)i);
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT * FROM %.*s LIMIT 0", SPAN_FMT(table));
        pg_send_text(connection, sql);
        pg_flush(connection);
        PGresult *columns = pg_result(connection);
        failure = pg_finish(connection);
        if (!failure) write_insert(target->insert_sql[i], table, columns);
        PQclear(columns);
    }
    return failure;
}

void copy_part_reset(struct pg_target *target)
{
    for (int i = 0; i < EVENT_TABLES; i++)
        target->events_count[i] = 0;
    for (int i = 0; i < COPY_KEYS; i++) {
        pg_params_reset(&target->keys[i], key_params[i]);
        target->keys_count[i] = 0;
    }
}

void copy_part_send(struct pg_target *target)
{
    for (int i = 0; i < EVENT_TABLES; i++)
        if (target->events_count[i])
            pg_send(&target->connection, target->insert_sql[i], &target->events[i]);
    for (int i = 0; i < COPY_KEYS; i++)
        if (target->keys_count[i]) pg_send(&target->connection, key_inserts[i], &target->keys[i]);
}

/* -- texts that a database does not take --------------------------------------------------- */

static bool is_storable(struct span text)
{
    return !text.len || (json_utf8_valid(text) && !memchr(text.ptr, 0, text.len));
}

/* As exports write it: what is no UTF-8 is ISO 8859-1. A byte of value 0 becomes a blank. */
static struct span storable(struct pg_target *target, struct span text)
{
    bool is_utf8 = json_utf8_valid(text);
    char *begin = target->texts + target->texts_len, *at = begin;
    if (COPY_TEXTS_MAX - target->texts_len < 2 * text.len) return SPAN_NONE;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x80 && !is_utf8) *at++ = (char)(0xc0 | c >> 6);
        *at++ = (char)(c >= 0x80 && !is_utf8 ? (0x80 | (c & 0x3f)) : c ? c : ' ');
    }
    target->texts_len += (size_t)(at - begin);
    return (struct span){begin, (size_t)(at - begin)};
}

static bool make_storable(struct pg_target *target, struct text_row *row)
{
    bool is_changed = false;
    target->texts_len = 0;
    for (int i = 0; i < row->count; i++) {
        struct row_cell *cell = &row->cells[i];
        if (cell->is_text && !is_storable(cell->text)) {
            cell->text = storable(target, cell->text);
            is_changed = true;
        } else if (!cell->is_text && span_eq(row->names[i], SPAN("recorded_at_ms"))) {
            int64_t time_ms = pg_partition_time(cell->number, target->database_ms);
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

static struct span text_of(const struct text_row *row, const char *name)
{
    return text_row_cell(row, name)->text;
}

static int64_t number_of(const struct text_row *row, const char *name)
{
    return text_row_cell(row, name)->number;
}

static struct pg_params *new_key(struct pg_target *target, enum copy_keys keys)
{
    target->keys_count[keys]++;
    return &target->keys[keys];
}

static void add_bid_key(struct pg_target *target, enum op_kind kind, const struct text_row *row,
                        struct span detail)
{
    struct span bid_id = text_of(row, "bid_id");
    if (!bid_id.ptr) return;
    struct pg_params *params = new_key(target, COPY_BID_KEYS);
    pg_add_text(params, 0, bid_id);
    pg_add_i64(params, 1, kind);
    pg_add_i64(params, 2, kind == OP_CLICK || kind == OP_AD_FEEDBACK);
    pg_add_i64(params, 3, number_of(row, "seq"));
    pg_add_i64(params, 4, number_of(row, "recorded_at_ms"));
    pg_add_text(params, 5, detail);
}

static bool has_ended(const struct pg_target *target, int64_t expires_at_ms)
{
    return expires_at_ms < target->database_ms - MARGIN_MS;
}

static void add_click_keys(struct pg_target *target, const struct text_row *row)
{
    add_bid_key(target, OP_CLICK, row, SPAN_NONE);
    if (has_ended(target, number_of(row, "expires_at_ms"))) return;
    struct pg_params *params = new_key(target, COPY_CLICK_KEYS);
    pg_add_text(params, 0, text_of(row, "click_id"));
    pg_add_i64(params, 1, number_of(row, "seq"));
    pg_add_text(params, 2, text_of(row, "bid_id"));
    pg_add_text(params, 3, text_of(row, "advertiser_id"));
    pg_add_i64(params, 4, number_of(row, "expires_at_ms"));
}

static void add_conversion_keys(struct pg_target *target, const struct text_row *row)
{
    const struct conversion conversion = {
        .idempotency_key = text_of(row, "idempotency_key"),
        .event_id = text_of(row, "event_id"),
        .order_id = text_of(row, "order_id"),
    };
    for (int layer = 0; layer < DEDUP_LAYERS; layer++) {
        struct span key = conversion_key_text(&conversion, (enum dedup_layer)layer);
        if (!key.ptr) continue;
        struct pg_params *params = new_key(target, COPY_CONVERSION_KEYS);
        pg_add_text(params, 0, text_of(row, "click_id"));
        pg_add_text(params, 1, text_of(row, "partner_id"));
        pg_add_text(params, 2, text_of(row, "event_type"));
        pg_add_i64(params, 3, layer);
        pg_add_text(params, 4, key);
        pg_add_i64(params, 5, number_of(row, "seq"));
    }
}

static void add_event_key(struct pg_target *target, const struct text_row *row)
{
    if (!text_of(row, "event_id").ptr) return;
    struct pg_params *params = new_key(target, COPY_EVENT_KEYS);
    pg_add_text(params, 0, text_of(row, "tag_id"));
    pg_add_text(params, 1, text_of(row, "partner_id"));
    pg_add_text(params, 2, text_of(row, "event_id"));
    pg_add_i64(params, 3, number_of(row, "seq"));
    pg_add_i64(params, 4, number_of(row, "recorded_at_ms"));
}

static void add_ad_feedback_keys(struct pg_target *target, const struct text_row *row)
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
    batch_rater(target->secrets, text_of(row, "publisher_id"), text_of(row, "sent_session_id"),
                rating.rater);
    batch_rating(target->secrets, &op.ad_feedback, rating.digest);
    bool has_id = uuid_read(&op.ad_feedback.id, text_of(row, "feedback_id"));
    batch_rating_detail(&rating, detail);
    add_bid_key(target, OP_AD_FEEDBACK, row,
                has_id ? (struct span){detail, sizeof detail} : SPAN_NONE);
    if (number_of(row, "recorded_at_ms") < target->database_ms - SESSION_MS) return;
    struct pg_params *params = new_key(target, COPY_SESSION_KEYS);
    pg_add_text(params, 0, text_of(row, "publisher_id"));
    pg_add_text(params, 1, (struct span){rating.rater, sizeof rating.rater});
    pg_add_i64(params, 2, number_of(row, "seq"));
    pg_add_i64(params, 3, number_of(row, "recorded_at_ms"));
}

static void add_keys(struct pg_target *target, enum op_kind kind, const struct text_row *row)
{
    switch (kind) {
    case OP_CLICK:
        add_click_keys(target, row);
        break;
    case OP_CONVERSION:
        add_conversion_keys(target, row);
        break;
    case OP_SERVER_EVENT:
        add_event_key(target, row);
        break;
    case OP_AD_FEEDBACK:
        add_ad_feedback_keys(target, row);
        break;
    default:
        add_bid_key(target, kind, row, kind == OP_VOTE ? text_of(row, "option_id") : SPAN_NONE);
        break;
    }
}

/* -- rows ---------------------------------------------------------------------------------- */

enum err copy_put_event(void *arg, enum op_kind kind, const struct text_row *from, int64_t checksum)
{
    struct pg_target *target = pg_target_of(arg);
    struct text_row row = *from;
    struct pg_params *params = &target->events[kind];
    if (!target->events_count[kind]++) pg_params_reset(params, row.count + 1);
    if (make_storable(target, &row)) checksum = (int64_t)sum_of(event_table_name(kind), &row);
    for (int i = 0; i < row.count; i++) {
        if (row.cells[i].is_text)
            pg_add_text(params, i, row.cells[i].text);
        else
            pg_add_i64(params, i, row.cells[i].number);
    }
    pg_add_i64(params, row.count, checksum);
    add_keys(target, kind, &row);
    return params->is_out_of_memory ? ERR_NO_MEMORY : ERR_OK;
}
