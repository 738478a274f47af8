#include "event/flags.h"
#include "store/sqlite/sqlite.h"

/* What only the store can say of a click: whether one came just before, and whether its bid was
 * seen. From memory alone, as no row is worth reading for a flag: an impression is believed to be
 * the bid's by its fingerprint, and a start begins without the clicks before it. */

/* Times of the window never go back, and loops stamp a little out of order. */
static int64_t pass_clicks_time(struct sqlite_store *store, int64_t received_at_ms)
{
    int64_t time_ms = ages_time_of(&store->ages, received_at_ms);
    if (time_ms > store->clicks_now_ms) store->clicks_now_ms = time_ms;
    return store->clicks_now_ms;
}

/* Whatever it is it is remembered, so that of three in a row the second and third are double. Every
 * click of the last while is in the window, so a bid's latest one is, or came before all of them.
 */
static bool is_double(struct sqlite_store *store, const struct op *op, uint64_t latest_of_bid)
{
    int64_t now_ms = pass_clicks_time(store, op->received_at_ms);
    bool is_visitors =
        window_add(store->recent_clicks, op->click.visitor.key, now_ms, store->sequence_next);
    return is_visitors || latest_of_bid >= window_first_sequence(store->recent_clicks);
}

static bool has_impression(const struct sqlite_store *store, const struct op_keys *keys)
{
    struct index_cursor cursor;
    return index_first(&store->impressions, &keys->bid, &cursor) != 0;
}

uint32_t click_flags(struct sqlite_store *store, const struct op *op, const struct op_keys *keys,
                     uint64_t latest_of_bid)
{
    uint32_t flags = is_double(store, op, latest_of_bid) ? FLAG_DOUBLE_CLICK : 0;
    if (op->click.ad.bid_id.ptr && !has_impression(store, keys)) flags |= FLAG_NO_IMPRESSION;
    return flags;
}
