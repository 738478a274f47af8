#include "store/op.h"

#include "base/assert.h"

struct span event_table_name(enum op_kind kind)
{
    static const struct span names[EVENT_TABLES] = {
        [OP_CLICK] = SPAN_INIT("click"),
        [OP_CONVERSION] = SPAN_INIT("conversion"),
        [OP_SERVER_EVENT] = SPAN_INIT("server_event"),
        [OP_IMPRESSION] = SPAN_INIT("impression"),
        [OP_FEEDBACK] = SPAN_INIT("feedback"),
        [OP_AD_FEEDBACK] = SPAN_INIT("ad_feedback"),
        [OP_VOTE] = SPAN_INIT("vote"),
    };
    ASSERT(kind <= OP_VOTE);
    return names[kind];
}
