#include "store/keep.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct keep keep_of(int64_t keep_ms, const struct store_options *options,
                    int64_t longest_click_ttl_ms, int64_t longest_impression_ttl_ms)
{
    keep_ms = max_ms(keep_ms, HOUR_MS); /* longer than the window of ad-feedbacks */
    int64_t impressions_ms = max_ms(keep_ms, options->impression_ttl_ms);
    int64_t clicks_ms = max_ms(keep_ms, options->click_ttl_ms);
    return (struct keep){{
        [OP_CLICK] = max_ms(clicks_ms, impressions_ms) + longest_click_ttl_ms,
        [OP_CONVERSION] = clicks_ms,
        [OP_SERVER_EVENT] = max_ms(keep_ms, options->collect_dedup_window_ms),
        [OP_IMPRESSION] = impressions_ms + longest_impression_ttl_ms,
        [OP_FEEDBACK] = impressions_ms,
        [OP_AD_FEEDBACK] = impressions_ms,
        [OP_VOTE] = -1, /* a bid votes once in its life, and polls count what is there */
    }};
}
