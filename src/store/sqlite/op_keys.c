#include "store/sqlite/sqlite.h"

/* All keys of a batch are known before its first op is decided: the memory brings their places of
 * the indexes while others are looked at. With millions of keys each place is a cache miss. */

static void click_keys(const struct sqlite_store *store, const struct op *op, struct op_keys *keys)
{
    keys->click = click_key(&op->click.id);
    index_prefetch(&store->clicks, &keys->click);
    if (!op->click.ad.bid_id.ptr) return;
    keys->bid = bid_key(store, op->click.ad.bid_id);
    index_prefetch(&store->clicks_of_bids, &keys->bid);
    index_prefetch(&store->impressions, &keys->bid);
}

static void conversion_keys(const struct sqlite_store *store, const struct op *op,
                            struct op_keys *keys)
{
    const struct conversion *conversion = &op->conversion;
    if (!uuid_read(&keys->click_id, conversion->click_id)) keys->click_id = (struct uuid){{0}};
    keys->click = click_key(&keys->click_id);
    index_prefetch(&store->clicks, &keys->click);
    for (int layer = DEDUP_EXPLICIT; layer <= DEDUP_ORDER; layer++) {
        if (!conversion_key_text(conversion, layer).ptr) continue;
        keys->dedup[layer] = conversion_key(store, conversion, layer);
        index_prefetch(&store->conversion_keys, &keys->dedup[layer]);
    }
}

static void server_event_keys(const struct sqlite_store *store, const struct op *op,
                              struct op_keys *keys)
{
    if (!op->server_event.event_id.ptr) return;
    keys->dedup[0] = collect_key(store, &op->server_event);
    index_prefetch(&store->collect_keys, &keys->dedup[0]);
}

static void ad_feedback_keys(const struct sqlite_store *store, const struct op *op,
                             struct op_keys *keys)
{
    keys->bid = bid_key(store, op->ad_feedback.ad.bid_id);
    keys->dedup[0] = session_bid_key(store, &op->ad_feedback);
    keys->session = session_key(store, &op->ad_feedback);
    index_prefetch(&store->ad_feedbacks, &keys->dedup[0]);
    index_prefetch(&store->ad_feedbacks_of_bids, &keys->bid);
}

void op_keys_make(const struct sqlite_store *store, const struct op *op, struct op_keys *keys)
{
    switch (op->kind) {
    case OP_CLICK:
        click_keys(store, op, keys);
        break;
    case OP_CONVERSION:
        conversion_keys(store, op, keys);
        break;
    case OP_SERVER_EVENT:
        server_event_keys(store, op, keys);
        break;
    case OP_IMPRESSION:
        keys->bid = bid_key(store, op->impression.ad.bid_id);
        index_prefetch(&store->impressions, &keys->bid);
        break;
    case OP_FEEDBACK:
        keys->bid = bid_key(store, op->feedback.bid_id);
        index_prefetch(&store->impressions, &keys->bid);
        index_prefetch(&store->feedbacks, &keys->bid);
        break;
    case OP_AD_FEEDBACK:
        ad_feedback_keys(store, op, keys);
        break;
    case OP_VOTE:
        keys->bid = bid_key(store, op->vote.ad.bid_id);
        index_prefetch(&store->votes, &keys->bid);
        break;
    default:
        break; /* has no key */
    }
}
