#include "store/dedup.h"

struct span conversion_key_text(const struct conversion *conversion, enum dedup_layer layer)
{
    if (layer == DEDUP_ORDER) return conversion->order_id;
    return conversion->idempotency_key.ptr ? conversion->idempotency_key : conversion->event_id;
}
