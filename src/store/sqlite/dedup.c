#include "base/arena.h"
#include "base/assert.h"
#include "base/limits.h"
#include "base/uninitialized.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

/* What a fingerprint is taken of: parts with their lengths, so that no two lists look alike. */
enum { KEY_BYTES_MAX = 4 * (DEDUP_PART_MAX + 2) + 1 };

struct key_bytes {
    uint8_t bytes[KEY_BYTES_MAX];
    size_t size;
};

static void add_part(struct key_bytes *key, struct span part)
{
    ASSERT(part.len <= DEDUP_PART_MAX && key->size + part.len + 2 <= KEY_BYTES_MAX);
    key->bytes[key->size++] = (uint8_t)(part.len >> 8);
    key->bytes[key->size++] = (uint8_t)part.len;
    if (part.len) memcpy(key->bytes + key->size, part.ptr, part.len);
    key->size += part.len;
}

static struct index_key fingerprint(const struct sqlite_store *store, const struct key_bytes *key)
{
    return (struct index_key){{hash_fingerprint(store->fingerprint_key, key->bytes, key->size)}};
}

/* A click id is 74 random bits behind the time: the random half is spread evenly by itself, and no
 * client can put one in. */
struct index_key click_key(const struct uuid *id)
{
    struct index_key key;
    memcpy(&key.word[1], id->bytes, 8);
    memcpy(&key.word[0], id->bytes + 8, 8);
    key.word[0] = __builtin_bswap64(key.word[0]);
    key.word[0] =
        key.word[0] << 32 | key.word[0] >> 32; /* the variant: where no slot depends on it */
    return key;
}

struct index_key imported_click_key(const struct sqlite_store *store, const struct uuid *id)
{
    struct index_key key;
    memcpy(&key.word[1], id->bytes, 8);
    key.word[0] = hash_fingerprint(store->fingerprint_key, id->bytes, sizeof id->bytes);
    return key;
}

bool is_import_route(struct span route)
{
    return span_eq(route, SPAN("import"));
}

static bool is_row_of_import(sqlite3_stmt *row, const struct uuid *id)
{
    char text[UUID_TEXT_LEN];
    uuid_write(text, id);
    return span_eq(db_column_text(row, 1), (struct span){text, sizeof text}) &&
           is_import_route(db_column_text(row, 2));
}

enum err dedup_find_imported_click(struct sqlite_store *store, const struct uuid *id,
                                   uint64_t *value, int64_t *expires_at_ms)
{
    sqlite3_stmt *row = store->statements[SQL_CLICK_BY_SEQ];
    struct index_cursor cursor;
    *value = 0;
    if (!store->has_imported_clicks) return ERR_OK;
    struct index_key key = imported_click_key(store, id);
    uint64_t found = index_first(&store->clicks, &key, &cursor);
    for (; found && !*value; found = index_next(&store->clicks, &key, &cursor)) {
        enum err err = statements_read_row(store, SQL_CLICK_BY_SEQ, INDEX_SEQUENCE(found));
        if (!err && is_row_of_import(row, id)) {
            *value = found;
            *expires_at_ms = sqlite3_column_int64(row, 3);
        }
        sqlite3_reset(row);
        if (err) return err;
    }
    return ERR_OK;
}

struct index_key bid_key(const struct sqlite_store *store, struct span bid_id)
{
    struct key_bytes key UNINITIALIZED;
    key.size = 0;
    add_part(&key, bid_id);
    return fingerprint(store, &key);
}

struct index_key conversion_key(const struct sqlite_store *store,
                                const struct conversion *conversion, enum dedup_layer layer)
{
    struct key_bytes key UNINITIALIZED;
    key.size = 0;
    key.bytes[key.size++] = (uint8_t)layer;
    add_part(&key, conversion->sender.partner_id);
    add_part(&key, conversion->click_id);
    add_part(&key, conversion->event_type);
    add_part(&key, conversion_key_text(conversion, layer));
    return fingerprint(store, &key);
}

struct index_key collect_key(const struct sqlite_store *store, const struct server_event *event)
{
    struct key_bytes key UNINITIALIZED;
    key.size = 0;
    add_part(&key, event->sender.partner_id);
    add_part(&key, event->tag_id);
    add_part(&key, event->event_id);
    return fingerprint(store, &key);
}

enum err dedup_read_conversion(struct sqlite_store *store, uint64_t sequence,
                               struct conversion *out, char text[CONVERSION_KEYS_TEXT_MAX])
{
    sqlite3_stmt *row = store->statements[SQL_CONVERSION_BY_SEQ];
    struct arena arena = {.base = text, .cap = CONVERSION_KEYS_TEXT_MAX};
    enum err err = statements_read_row(store, SQL_CONVERSION_BY_SEQ, sequence);
    if (!err)
        *out = (struct conversion){
            .sender.partner_id = arena_copy(&arena, db_column_text(row, 0)),
            .click_id = arena_copy(&arena, db_column_text(row, 1)),
            .event_type = arena_copy(&arena, db_column_text(row, 2)),
            .idempotency_key = arena_copy(&arena, db_column_text(row, 3)),
            .event_id = arena_copy(&arena, db_column_text(row, 4)),
            .order_id = arena_copy(&arena, db_column_text(row, 5)),
        };
    sqlite3_reset(row);
    return err;
}

static bool conversion_row_has_key(sqlite3_stmt *row, const struct conversion *conversion,
                                   enum dedup_layer layer)
{
    struct conversion stored = {
        .idempotency_key = db_column_text(row, 3),
        .event_id = db_column_text(row, 4),
        .order_id = db_column_text(row, 5),
    };
    struct span key = conversion_key_text(&stored, layer);
    return key.ptr && span_eq(key, conversion_key_text(conversion, layer)) &&
           span_eq(db_column_text(row, 0), conversion->sender.partner_id) &&
           span_eq(db_column_text(row, 1), conversion->click_id) &&
           span_eq(db_column_text(row, 2), conversion->event_type);
}

enum err dedup_find_conversion(struct sqlite_store *store, const struct conversion *conversion,
                               enum dedup_layer layer, const struct index_key *key,
                               uint64_t *sequence)
{
    *sequence = 0;
    if (!conversion_key_text(conversion, layer).ptr) return ERR_OK;
    sqlite3_stmt *row = store->statements[SQL_CONVERSION_KEYS];
    struct index_cursor cursor;
    uint64_t value = index_first(&store->conversion_keys, key, &cursor);
    for (; value && !*sequence; value = index_next(&store->conversion_keys, key, &cursor)) {
        enum err err = statements_read_key(store, SQL_CONVERSION_KEYS, INDEX_SEQUENCE(value));
        bool is_same = !err && conversion_row_has_key(row, conversion, layer);
        sqlite3_reset(row);
        if (is_same) *sequence = INDEX_SEQUENCE(value);
        if (!err && !is_same)
            err = statements_check_key(store, SQL_CONVERSION_KEYS, INDEX_SEQUENCE(value));
        if (err) return err;
    }
    return ERR_OK;
}

static bool event_row_has_key(sqlite3_stmt *row, const struct server_event *event)
{
    return span_eq(db_column_text(row, 1), event->sender.partner_id) &&
           span_eq(db_column_text(row, 2), event->tag_id) &&
           span_eq(db_column_text(row, 3), event->event_id);
}

static bool is_in_window(const struct sqlite_store *store, const struct op *op, uint64_t sequence,
                         int64_t recorded_at_ms)
{
    int64_t oldest_ms = sqlite_forget_time_ms(store, op) - store->options.collect_dedup_window_ms;
    return ages_recorded_by_ms(&store->ages, sequence, recorded_at_ms) > oldest_ms;
}

enum err dedup_find_server_event(struct sqlite_store *store, const struct op *op,
                                 const struct index_key *key, uint64_t *sequence)
{
    const struct server_event *event = &op->server_event;
    *sequence = 0;
    if (!event->event_id.ptr) return ERR_OK;
    sqlite3_stmt *row = store->statements[SQL_SERVER_EVENT_KEYS_BY_SEQ];
    struct index_cursor cursor;
    uint64_t value = index_first(&store->collect_keys, key, &cursor);
    for (; value && !*sequence; value = index_next(&store->collect_keys, key, &cursor)) {
        enum err err =
            statements_read_row(store, SQL_SERVER_EVENT_KEYS_BY_SEQ, INDEX_SEQUENCE(value));
        if (!err && event_row_has_key(row, event) &&
            is_in_window(store, op, INDEX_SEQUENCE(value), sqlite3_column_int64(row, 0)))
            *sequence = INDEX_SEQUENCE(value);
        sqlite3_reset(row);
        if (err) return err;
    }
    return ERR_OK;
}

/* The entry of `index` whose row has this bid, 0 when there is none. */
static enum err find_bid_entry(struct sqlite_store *store, const struct index *index,
                               enum sqlite_statement statement, const struct index_key *key,
                               struct span bid_id, uint64_t *value)
{
    sqlite3_stmt *row = store->statements[statement];
    struct index_cursor cursor;
    *value = index_first(index, key, &cursor);
    for (; *value; *value = index_next(index, key, &cursor)) {
        enum err err = statements_read_key(store, statement, INDEX_SEQUENCE(*value));
        bool is_same = !err && span_eq(db_column_text(row, 0), bid_id);
        sqlite3_reset(row);
        if (!err && !is_same) err = statements_check_key(store, statement, INDEX_SEQUENCE(*value));
        if (err || is_same) return err;
    }
    return ERR_OK;
}

enum err dedup_find_by_bid(struct sqlite_store *store, const struct index *index,
                           enum sqlite_statement statement, const struct index_key *key,
                           struct span bid_id, uint64_t *sequence)
{
    uint64_t value;
    enum err err = find_bid_entry(store, index, statement, key, bid_id, &value);
    *sequence = INDEX_SEQUENCE(value);
    return err;
}

enum err dedup_count_of_bid(struct sqlite_store *store, const struct index *index,
                            enum sqlite_statement statement, const struct index_key *key,
                            struct span bid_id, uint8_t *count, uint64_t *value)
{
    enum err err = find_bid_entry(store, index, statement, key, bid_id, value);
    *count = INDEX_TAG(*value);
    return err;
}

enum err dedup_count_up(struct sqlite_store *store, struct index *index,
                        const struct index_key *key, uint8_t count, uint64_t value,
                        uint64_t sequence)
{
    uint64_t new_value = INDEX_VALUE(sequence, count + 1);
    if (value == 0) return undoable_add(store, index, key, new_value);
    undoable_replace(store, index, key, value, new_value);
    return ERR_OK;
}

struct index_key session_key(const struct sqlite_store *store, const struct ad_feedback *feedback)
{
    struct key_bytes key UNINITIALIZED;
    key.size = 0;
    add_part(&key, feedback->ad.publisher_id);
    add_part(&key, feedback->sent_session_id);
    return fingerprint(store, &key);
}

struct index_key session_bid_key(const struct sqlite_store *store,
                                 const struct ad_feedback *feedback)
{
    struct key_bytes key UNINITIALIZED;
    key.size = 0;
    add_part(&key, feedback->ad.publisher_id);
    add_part(&key, feedback->sent_session_id);
    add_part(&key, feedback->ad.bid_id);
    return fingerprint(store, &key);
}

static bool is_same_session(sqlite3_stmt *row, const struct ad_feedback *feedback)
{
    return span_eq(db_column_text(row, 0), feedback->ad.publisher_id) &&
           span_eq(db_column_text(row, 1), feedback->sent_session_id) &&
           span_eq(db_column_text(row, 2), feedback->ad.bid_id);
}

enum err dedup_find_latest(struct sqlite_store *store, const struct ad_feedback *feedback,
                           const struct index_key *key, uint64_t *value)
{
    const enum sqlite_statement statement = SQL_AD_FEEDBACK_SESSION;
    sqlite3_stmt *row = store->statements[statement];
    struct index_cursor cursor;
    *value = index_first(&store->ad_feedbacks, key, &cursor);
    for (; *value; *value = index_next(&store->ad_feedbacks, key, &cursor)) {
        enum err err = statements_read_key(store, statement, INDEX_SEQUENCE(*value));
        bool is_same = !err && is_same_session(row, feedback);
        sqlite3_reset(row);
        if (!err && !is_same) err = statements_check_key(store, statement, INDEX_SEQUENCE(*value));
        if (err || is_same) return err;
    }
    return ERR_OK;
}

static void note_undo(struct sqlite_store *store, struct undo_entry entry)
{
    ASSERT(store->undo_count < UNDO_MAX);
    store->undo[store->undo_count++] = entry;
}

enum err undoable_add(struct sqlite_store *store, struct index *index, const struct index_key *key,
                      uint64_t value)
{
    if (!index_add(index, key, value)) return ERR_NO_MEMORY;
    note_undo(store, (struct undo_entry){index, *key, 0, value, NULL});
    return ERR_OK;
}

void undoable_replace(struct sqlite_store *store, struct index *index, const struct index_key *key,
                      uint64_t old_value, uint64_t new_value)
{
    bool replaced = index_replace(index, key, old_value, new_value);
    ASSERT(replaced);
    note_undo(store, (struct undo_entry){index, *key, old_value, new_value, NULL});
}

void undoable_count(struct sqlite_store *store, uint64_t *counter, const struct index_key *name,
                    uint64_t sequence)
{
    ++*counter;
    note_undo(store, (struct undo_entry){
                         .counter = counter, .key = *name, .new_value = INDEX_VALUE(sequence, 0)});
}

/* Where the batch changed a poll's options its counters have moved, and are counted again anyway.
 */
static bool undo(const struct sqlite_store *store, const struct undo_entry *entry)
{
    if (entry->counter && store->polls_changed) return true;
    if (entry->counter) return (*entry->counter)-- > 0;
    if (entry->old_value)
        return index_replace(entry->index, &entry->key, entry->new_value, entry->old_value);
    return index_remove(entry->index, &entry->key, entry->new_value);
}

void undo_all(struct sqlite_store *store)
{
    while (store->undo_count > 0) {
        bool undone = undo(store, &store->undo[--store->undo_count]);
        ASSERT(undone);
    }
}
