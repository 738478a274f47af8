#include "store/sqlite/sqlite.h"

enum { AGES_INTERVAL_MS_MIN = 1000 };

void ages_init(struct ages *ages, int64_t ttl_max_ms)
{
    int64_t interval_ms = ttl_max_ms / (AGES_MARKS_MAX - 2);
    *ages = (struct ages){
        .interval_ms = interval_ms > AGES_INTERVAL_MS_MIN ? interval_ms : AGES_INTERVAL_MS_MIN,
    };
}

static const struct age_mark *mark_at(const struct ages *ages, uint32_t i)
{
    return &ages->marks[(ages->first + i) % AGES_MARKS_MAX];
}

bool ages_note(struct ages *ages, const struct age_mark *mark)
{
    if (ages->count && mark->time_ms < mark_at(ages, ages->count - 1)->time_ms + ages->interval_ms)
        return false;
    if (ages->count == AGES_MARKS_MAX) {
        ages->first = (ages->first + 1) % AGES_MARKS_MAX;
        ages->count--;
    }
    ages->marks[(ages->first + ages->count++) % AGES_MARKS_MAX] = *mark;
    return true;
}

struct age_mark ages_mark(const struct ages *ages, int64_t time_ms)
{
    for (uint32_t i = ages->count; i > 0; i--)
        if (mark_at(ages, i - 1)->time_ms <= time_ms) return *mark_at(ages, i - 1);
    return (struct age_mark){0};
}

uint64_t ages_floor(const struct ages *ages, int64_t time_ms)
{
    return ages_mark(ages, time_ms).sequence;
}
