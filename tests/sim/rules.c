#include "model.h"

#include <stddef.h>
#include <string.h>

void rules_init(struct rules *rules)
{
    *rules = (struct rules){.minute_ms = 60 * 1000,
                            .token_margin_ms = 60 * 1000,
                            .feedbacks_per_minute = 30,
                            .per_bid_max = 100};
}

/* Rows are taken in steps of some hours, so what is kept too long shows after days alone. */
enum { TEN_DAYS_MS = 10 * 24 * 60 * 60 * 1000 };

/* A rule, and how it is made wrong by the least that there is. */
struct wrong {
    const char *name;
    enum { MILLISECONDS, COUNT, FLAG } type;
    size_t offset;
    int by;
};

/* clang-format off */
static const struct wrong wrongs[] = {
    {"click-ttl",      MILLISECONDS, offsetof(struct rules, click_leeway_ms), 1},
    {"impression-ttl", MILLISECONDS, offsetof(struct rules, impression_ttl_ms), -1},
    {"collect-window", MILLISECONDS, offsetof(struct rules, collect_window_ms), 1},
    {"minute",         MILLISECONDS, offsetof(struct rules, minute_ms), 1},
    {"key-expiry",     MILLISECONDS, offsetof(struct rules, key_leeway_ms), 1},
    {"token-expiry",   MILLISECONDS, offsetof(struct rules, token_leeway_ms), 1},
    {"token-margin",   MILLISECONDS, offsetof(struct rules, token_margin_ms), 1},
    {"per-minute",     COUNT, offsetof(struct rules, feedbacks_per_minute), 1},
    {"per-bid",        COUNT, offsetof(struct rules, per_bid_max), 1},
    {"tenants",        FLAG, offsetof(struct rules, forget_partner)},
    {"advertisers",    FLAG, offsetof(struct rules, forget_advertiser)},
    {"event-types",    FLAG, offsetof(struct rules, forget_event_type)},
    {"revocations",    FLAG, offsetof(struct rules, forget_revocation)},
    {"order",          FLAG, offsetof(struct rules, always_check_order)},
    {"votes",          FLAG, offsetof(struct rules, vote_per_poll)},
    {"rates",          FLAG, offsetof(struct rules, double_rates)},
    {"retention",      MILLISECONDS, offsetof(struct rules, keep_leeway_ms), TEN_DAYS_MS},
    {"erasure",        FLAG, offsetof(struct rules, forget_erasure)},
    {"imports",        FLAG, offsetof(struct rules, forget_import)},
    {"import-end",     FLAG, offsetof(struct rules, forget_import_end)},
};
/* clang-format on */

static void apply(const struct wrong *wrong, struct rules *rules)
{
    char *at = (char *)rules + wrong->offset;
    if (wrong->type == MILLISECONDS) *(int64_t *)(void *)at += wrong->by;
    if (wrong->type == COUNT) *(int *)(void *)at += wrong->by;
    if (wrong->type == FLAG) *(bool *)at = true;
}

bool rules_break(struct rules *rules, const char *name)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        if (strcmp(wrongs[i].name, name) != 0) continue;
        apply(&wrongs[i], rules);
        return true;
    }
    return false;
}
