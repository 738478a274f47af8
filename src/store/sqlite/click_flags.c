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

/* Noted whatever it is, so that of three in a row the second and third are double clicks. Without
 * memory for it there is a flag less. */
static bool is_double(struct sqlite_store *store, const struct op *op, const struct op_keys *keys)
{
    const uint64_t same[] = {op->click.visitor.key, keys->bid.word[0]};
    size_t count = op->click.ad.bid_id.ptr ? 2 : 1;
    int64_t now_ms = pass_clicks_time(store, op->received_at_ms);
    bool is_found = false;
    for (size_t i = 0; i < count; i++)
        is_found |= window_has(store->recent_clicks, same[i], now_ms);
    for (size_t i = 0; i < count; i++)
        (void)window_note(store->recent_clicks, same[i], now_ms);
    return is_found;
}

static bool has_impression(const struct sqlite_store *store, const struct op_keys *keys)
{
    struct index_cursor cursor;
    return index_first(&store->impressions, &keys->bid, &cursor) != 0;
}

uint32_t click_flags(struct sqlite_store *store, const struct op *op, const struct op_keys *keys)
{
    uint32_t flags = is_double(store, op, keys) ? FLAG_DOUBLE_CLICK : 0;
    if (op->click.ad.bid_id.ptr && !has_impression(store, keys)) flags |= FLAG_NO_IMPRESSION;
    return flags;
}
