#include "base/assert.h"
#include "base/limits.h"
#include "store/sqlite/sqlite.h"

/* One op: decided by the indexes, remembered in them, and a row to insert. An enum err means
 * that the whole batch fails; a refusal is an outcome. */

static enum err finish(struct op *op, enum outcome outcome, uint64_t sequence)
{
    op->outcome = outcome;
    op->sequence = sequence;
    return ERR_OK;
}

static uint8_t tag_of(const struct op *op)
{
    const struct ad_facts *ad = &op->click.ad;
    return (uint8_t)((ad->bid_id.ptr ? CLICK_HAS_BID : 0) |
                     (ad->advertiser_id.ptr ? CLICK_HAS_ADVERTISER : 0) |
                     (op->happened_at_ms ? CLICK_IS_IMPORTED : 0));
}

static enum err index_click(struct sqlite_store *store, const struct op *op,
                            const struct op_keys *keys, uint64_t sequence, uint8_t count,
                            uint64_t count_value)
{
    struct index_key key = keys->click;
    if (op->happened_at_ms) {
        key = imported_click_key(store, &op->click.id);
        store->has_imported_clicks = true;
    }
    enum err err = undoable_add(store, &store->clicks, &key, INDEX_VALUE(sequence, tag_of(op)));
    if (err || !op->click.ad.bid_id.ptr) return err;
    return dedup_count_up(store, &store->clicks_of_bids, &keys->bid, count, count_value, sequence);
}

static enum err record_click(struct sqlite_store *store, struct op *op, const struct op_keys *keys)
{
    _Static_assert(LIMIT_CLICKS_PER_BID_COUNT < 1 << INDEX_TAG_BITS,
                   "the count is kept in the tag");
    uint8_t count = 0;
    uint64_t count_value = 0;
    enum err err = ERR_OK;
    if (op->click.ad.bid_id.ptr)
        err = dedup_count_of_bid(store, &store->clicks_of_bids, SQL_CLICK_BID, &keys->bid,
                                 op->click.ad.bid_id, &count, &count_value);
    if (err) return err;
    if (count >= LIMIT_CLICKS_PER_BID_COUNT) return finish(op, OUTCOME_LIMITED, 0);
    if (!op->happened_at_ms) /* an imported one keeps those that it had */
        op->click.visitor.flags |= click_flags(store, op, keys, INDEX_SEQUENCE(count_value));
    uint64_t sequence = store->sequence_next;
    batch_rows_add(store, op, sequence, 0);
    err = index_click(store, op, keys, sequence, count, count_value);
    if (err) return err;
    store->sequence_next++;
    return finish(op, OUTCOME_RECORDED, sequence);
}

/* A click from elsewhere keeps its id and its end, which must not be later than the index
 * remembers it. One that has ended is left where it is: it would earn nothing. */
static enum err import_click(struct sqlite_store *store, struct op *op, const struct op_keys *keys)
{
    struct index_cursor cursor;
    int64_t expires_at_ms;
    uint64_t value = index_first(&store->clicks, &keys->click, &cursor);
    enum err err = ERR_OK;
    if (!value) err = dedup_find_imported_click(store, &op->click.id, &value, &expires_at_ms);
    if (err) return err;
    if (value) return finish(op, OUTCOME_DUPLICATE, INDEX_SEQUENCE(value));
    if (op->click.expires_at_ms <= op->received_at_ms) return finish(op, OUTCOME_NOT_FOUND, 0);
    if (op->click.expires_at_ms > op->received_at_ms + store->options.click_ttl_ms)
        return finish(op, OUTCOME_CONFLICT, 0);
    return record_click(store, op, keys);
}

/* The living click of that id: *value is its index entry, or 0. */
static enum err find_living_click(struct sqlite_store *store, const struct op *op,
                                  const struct op_keys *keys, uint64_t *value)
{
    struct index_cursor cursor;
    int64_t expires_at_ms;
    *value = 0;
    if (uuid_v7_ms(&keys->click_id) + store->options.click_ttl_ms >= op->received_at_ms)
        *value = index_first(&store->clicks, &keys->click, &cursor);
    if (*value) return ERR_OK;
    enum err err = dedup_find_imported_click(store, &keys->click_id, value, &expires_at_ms);
    if (!err && *value && expires_at_ms < op->received_at_ms) *value = 0;
    return err;
}

/* The click that a conversion names: *value is its index entry, 0 when there is none that lives and
 * is of the key's advertiser. */
static enum err find_click(struct sqlite_store *store, const struct op *op,
                           const struct op_keys *keys, uint64_t *value)
{
    uint64_t found;
    struct span advertiser_id = op->conversion.sender.advertiser_id;
    *value = 0;
    enum err err = find_living_click(store, op, keys, &found);
    if (err) return err;
    if (!advertiser_id.ptr || !found) {
        *value = found;
        return ERR_OK;
    }
    if (!(INDEX_TAG(found) & CLICK_HAS_ADVERTISER)) return ERR_OK;
    sqlite3_stmt *row = store->statements[SQL_CLICK_BY_SEQ];
    err = statements_read_row(store, SQL_CLICK_BY_SEQ, INDEX_SEQUENCE(found));
    if (!err && span_eq(db_column_text(row, 0), advertiser_id)) *value = found;
    sqlite3_reset(row);
    return err;
}

/* The key of a recorded conversion is remembered, unless an earlier one has it already: an order id
 * behind an Idempotency-Key may come twice, and then the first stands for it. */
static enum err remember_key(struct sqlite_store *store, const struct conversion *conversion,
                             enum dedup_layer layer, const struct op_keys *keys, uint64_t sequence,
                             uint64_t holder)
{
    if (holder || !conversion_key_text(conversion, layer).ptr) return ERR_OK;
    return undoable_add(store, &store->conversion_keys, &keys->dedup[layer],
                        INDEX_VALUE(sequence, layer));
}

static enum err record_new_conversion(struct sqlite_store *store, struct op *op,
                                      const struct op_keys *keys, uint64_t click,
                                      uint64_t order_holder)
{
    uint64_t sequence = store->sequence_next;
    batch_rows_add(store, op, sequence, INDEX_SEQUENCE(click));
    enum err err = remember_key(store, &op->conversion, DEDUP_EXPLICIT, keys, sequence, 0);
    if (!err) err = remember_key(store, &op->conversion, DEDUP_ORDER, keys, sequence, order_holder);
    if (err) return err;
    store->sequence_next++;
    return finish(op, OUTCOME_RECORDED, sequence);
}

static enum err record_conversion(struct sqlite_store *store, struct op *op,
                                  const struct op_keys *keys)
{
    uint64_t click, by_key, by_order;
    enum err err = find_click(store, op, keys, &click);
    if (err) return err;
    if (!click) return finish(op, OUTCOME_NOT_FOUND, 0);
    if (!(INDEX_TAG(click) & CLICK_HAS_BID)) return finish(op, OUTCOME_MISSING_BID, 0);
    err = dedup_find_conversion(store, &op->conversion, DEDUP_EXPLICIT,
                                &keys->dedup[DEDUP_EXPLICIT], &by_key);
    if (err) return err;
    if (by_key) return finish(op, OUTCOME_DUPLICATE, by_key);
    err = dedup_find_conversion(store, &op->conversion, DEDUP_ORDER, &keys->dedup[DEDUP_ORDER],
                                &by_order);
    if (err) return err;
    if (by_order && op->conversion.check_order) return finish(op, OUTCOME_DUPLICATE, by_order);
    return record_new_conversion(store, op, keys, click, by_order);
}

static enum err record_server_event(struct sqlite_store *store, struct op *op,
                                    const struct op_keys *keys)
{
    uint64_t holder;
    uint64_t sequence = store->sequence_next;
    enum err err = dedup_find_server_event(store, op, &keys->dedup[0], &holder);
    if (err) return err;
    if (holder) return finish(op, OUTCOME_DUPLICATE, holder);
    batch_rows_add(store, op, sequence, 0);
    if (op->server_event.event_id.ptr)
        err = undoable_add(store, &store->collect_keys, &keys->dedup[0], INDEX_VALUE(sequence, 0));
    if (err) return err;
    store->sequence_next++;
    return finish(op, OUTCOME_RECORDED, sequence);
}

enum err record_op(struct sqlite_store *store, struct op *op, const struct op_keys *keys)
{
    switch (op->kind) {
    case OP_CLICK:
        return op->happened_at_ms ? import_click(store, op, keys) : record_click(store, op, keys);
    case OP_CONVERSION:
        return record_conversion(store, op, keys);
    case OP_SERVER_EVENT:
        return record_server_event(store, op, keys);
    case OP_IMPRESSION:
    case OP_FEEDBACK:
    case OP_AD_FEEDBACK:
        return record_publisher_op(store, op, keys);
    case OP_VOTE:
    case OP_POLL_RESULTS:
    case OP_POLL_PUT:
    case OP_POLL_WITHDRAW:
        return polls_apply(store, op, keys);
    case OP_KEY_CREATE:
    case OP_KEY_REVOKE:
    case OP_TOKEN_KEY_ROTATE:
    case OP_TOKEN_KEY_RETIRE:
        return keys_apply(store, op);
    case OP_ERASE:
        return erase_apply(store, op);
    case OP_RETAIN:
        return retain_apply(store, op);
    }
    ASSERT(!"an op of no kind");
    return ERR_IO;
}
