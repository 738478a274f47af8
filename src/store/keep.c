#include "store/keep.h"

/* Longer than the window of ad-feedbacks. */
enum { KEEP_MS_MIN = 60 * 60 * 1000 };

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t more_ms(int64_t kept_ms, int64_t by_ms)
{
    return kept_ms == RETAIN_FOR_EVER ? RETAIN_FOR_EVER : kept_ms + by_ms;
}

struct keep keep_of(const int64_t keep_ms[EVENT_TABLES], const struct store_options *options,
                    int64_t longest_click_ttl_ms, int64_t longest_impression_ttl_ms)
{
    const int64_t needed_ms[EVENT_TABLES] = {
        [OP_CONVERSION] = options->click_ttl_ms,
        [OP_SERVER_EVENT] = options->collect_dedup_window_ms,
        [OP_FEEDBACK] = options->impression_ttl_ms,
        [OP_AD_FEEDBACK] = options->impression_ttl_ms,
        [OP_VOTE] = RETAIN_FOR_EVER, /* a bid votes once in its life, and polls count rows */
    };
    struct keep keep = {.kept_ms = {0}};
    int64_t *kept_ms = keep.kept_ms;
    for (int i = 0; i < EVENT_TABLES; i++)
        kept_ms[i] = max_ms(max_ms(keep_ms[i], KEEP_MS_MIN), needed_ms[i]);
    int64_t click_needed_ms = max_ms(kept_ms[OP_CONVERSION], options->impression_ttl_ms);
    kept_ms[OP_CLICK] = max_ms(kept_ms[OP_CLICK], more_ms(click_needed_ms, longest_click_ttl_ms));
    kept_ms[OP_IMPRESSION] =
        max_ms(kept_ms[OP_IMPRESSION], more_ms(kept_ms[OP_FEEDBACK], longest_impression_ttl_ms));
    return keep;
}
