#include "ledger/lane.h"

/* What an event's key begins with, absent for all that is the first lane's. A click without a bid
 * has no key that another event shares. */
static struct span key_of(const struct op *op)
{
    switch (op->kind) {
    case OP_CLICK:
        return op->click.ad.bid_id.ptr ? op->click.ad.bid_id
                                       : (struct span){(const char *)op->click.id.bytes, UUID_SIZE};
    case OP_CONVERSION:
        return op->conversion.click_id;
    case OP_SERVER_EVENT:
        return op->server_event.tag_id;
    case OP_IMPRESSION:
        return op->impression.ad.bid_id;
    case OP_FEEDBACK:
        return op->feedback.bid_id;
    case OP_AD_FEEDBACK:
        return op->ad_feedback.ad.bid_id;
    case OP_VOTE:
    case OP_POLL_RESULTS:
        return op->vote.ad.bid_id;
    default:
        return SPAN_NONE;
    }
}

uint32_t lane_of(const struct ledger *ledger, const struct op *op)
{
    struct span key = key_of(op);
    if (!key.ptr) return 0;
    return (uint32_t)(hash_fingerprint(ledger->hash_key, key.ptr, key.len) % ledger->lanes_count);
}
