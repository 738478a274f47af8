#include "store/postgres/batch.h"

#include "base/assert.h"
#include "event/flags.h"

/* One op: decided by what the database has and by what ops before it did. The same outcomes as
 * store/sqlite/record.c. */

static void finish(struct batch_op *op, enum outcome outcome, uint64_t sequence)
{
    op->op->outcome = outcome;
    op->op->sequence = sequence;
}

uint64_t batch_record(struct pg_store *store, struct batch_op *op)
{
    struct pg_batch *batch = store->batch;
    uint64_t sequence = store->lane.next_seq + batch->recorded_count;
    ASSERT(sequence < store->lane.lease_end);
    batch->recorded[batch->recorded_count++] = op;
    finish(op, OUTCOME_RECORDED, sequence);
    return sequence;
}

/* -- clicks -------------------------------------------------------------------------------- */

/* By who clicks as far as this process knows, by the bid as far as all do. */
static bool is_double(struct pg_store *store, struct batch_op *op)
{
    int64_t since_ms = op->time_ms - DOUBLE_CLICK_MS;
    op->is_visit = true;
    op->visit_before_ms =
        pg_visitors_click(store->visitors, op->op->click.visitor.key, op->time_ms);
    bool is_bids = op->bid && op->bid->seq && op->bid->recorded_at_ms > since_ms;
    return is_bids || op->visit_before_ms > since_ms;
}

static uint32_t click_flags(struct pg_store *store, struct batch_op *op)
{
    uint32_t flags = is_double(store, op) ? FLAG_DOUBLE_CLICK : 0;
    if (op->bid && !op->impression->seq) flags |= FLAG_NO_IMPRESSION;
    return flags;
}

/* A click of ours lives as long as its id says, one from elsewhere as it was told. */
static int64_t click_end_ms(const struct pg_store *store, const struct op *op)
{
    if (op->happened_at_ms) return op->click.expires_at_ms;
    return uuid_v7_ms(&op->click.id) + store->options.click_ttl_ms;
}

static void take_click(struct pg_store *store, struct batch_op *op)
{
    struct batch_key *key = op->click;
    const struct ad_facts *ad = &op->op->click.ad;
    key->seq = batch_record(store, op);
    key->click.bid_id = ad->bid_id;
    key->click.advertiser_id = ad->advertiser_id;
    key->click.expires_at_ms = click_end_ms(store, op->op);
    batch_add_row(store->batch, key, op, 0);
    if (!op->bid) return;
    op->bid->seq = key->seq;
    op->bid->recorded_at_ms = op->time_ms;
    batch_add_row(store->batch, op->bid, op, ++op->bid->count);
}

static void record_click(struct pg_store *store, struct batch_op *op)
{
    if (op->bid && op->bid->count >= LIMIT_CLICKS_PER_BID_COUNT) {
        finish(op, OUTCOME_LIMITED, 0);
        return;
    }
    if (!op->op->happened_at_ms) /* an imported one keeps those that it had */
        op->op->click.visitor.flags |= click_flags(store, op);
    take_click(store, op);
}

/* A click from elsewhere keeps its id and its end, no later than one of ours would have. One that
 * has ended is left where it is: it would earn nothing. */
static void import_click(struct pg_store *store, struct batch_op *op)
{
    int64_t expires_at_ms = op->op->click.expires_at_ms;
    if (op->click->seq)
        finish(op, OUTCOME_DUPLICATE, op->click->seq);
    else if (expires_at_ms <= op->time_ms)
        finish(op, OUTCOME_NOT_FOUND, 0);
    else if (expires_at_ms > op->time_ms + store->options.click_ttl_ms)
        finish(op, OUTCOME_CONFLICT, 0);
    else
        record_click(store, op);
}

/* -- conversions and events ---------------------------------------------------------------- */

/* The click lives and is of the key's advertiser. */
static bool has_click(const struct batch_op *op)
{
    const struct batch_key *key = op->click;
    struct span advertiser_id = op->op->conversion.sender.advertiser_id;
    if (!key->seq || key->click.expires_at_ms < op->time_ms) return false;
    return !advertiser_id.ptr ||
           (key->click.advertiser_id.ptr && span_eq(key->click.advertiser_id, advertiser_id));
}

/* An order id behind an Idempotency-Key may come twice, and then the first stands for it. */
static void take_layer(struct pg_store *store, struct batch_op *op, enum dedup_layer layer)
{
    struct batch_key *key = op->layers[layer];
    if (!key || key->seq) return;
    key->seq = op->op->sequence;
    batch_add_row(store->batch, key, op, 0);
}

static void decide_conversion(struct pg_store *store, struct batch_op *op)
{
    const struct batch_key *by_key = op->layers[DEDUP_EXPLICIT];
    const struct batch_key *by_order = op->layers[DEDUP_ORDER];
    if (!has_click(op)) {
        finish(op, OUTCOME_NOT_FOUND, 0);
    } else if (!op->click->click.bid_id.ptr) {
        finish(op, OUTCOME_MISSING_BID, 0);
    } else if (by_key && by_key->seq) {
        finish(op, OUTCOME_DUPLICATE, by_key->seq);
    } else if (by_order && by_order->seq && op->op->conversion.check_order) {
        finish(op, OUTCOME_DUPLICATE, by_order->seq);
    } else {
        op->link = op->click->seq;
        batch_record(store, op);
        take_layer(store, op, DEDUP_EXPLICIT);
        take_layer(store, op, DEDUP_ORDER);
    }
}

static void take_event(struct pg_store *store, struct batch_op *op)
{
    struct batch_key *key = op->event;
    key->replaced_seq = key->seq;
    key->seq = op->op->sequence;
    key->recorded_at_ms = op->time_ms;
    batch_add_row(store->batch, key, op, 0);
}

static void decide_server_event(struct pg_store *store, struct batch_op *op)
{
    const struct batch_key *key = op->event;
    int64_t oldest_ms = op->time_ms - store->options.collect_dedup_window_ms;
    if (key && key->seq && key->recorded_at_ms > oldest_ms) {
        finish(op, OUTCOME_DUPLICATE, key->seq);
        return;
    }
    batch_record(store, op);
    if (key) take_event(store, op);
}

static void decide(struct pg_store *store, struct batch_op *op)
{
    switch (op->op->kind) {
    case OP_CLICK:
        if (op->op->happened_at_ms)
            import_click(store, op);
        else
            record_click(store, op);
        break;
    case OP_CONVERSION:
        decide_conversion(store, op);
        break;
    case OP_SERVER_EVENT:
        decide_server_event(store, op);
        break;
    default:
        decide_publisher_op(store, op);
        break;
    }
}

void batch_decide(struct pg_store *store)
{
    for (size_t i = 0; i < store->batch->count; i++)
        decide(store, &store->batch->ops[i]);
}
