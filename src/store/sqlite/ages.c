#include "store/sqlite/sqlite.h"

enum { AGES_INTERVAL_MS_MIN = 1000 };
/* The wall clock was set, rather than corrected a little. */
enum { JUMP_MS = 1000 };
/* Two clocks that are read one after the other, each cut to a millisecond. */
enum { READING_MS = 1 };

void ages_init(struct ages *ages, int64_t ttl_max_ms)
{
    int64_t interval_ms = ttl_max_ms / (AGES_MARKS_MAX - 2);
    *ages = (struct ages){
        .interval_ms = interval_ms > AGES_INTERVAL_MS_MIN ? interval_ms : AGES_INTERVAL_MS_MIN,
    };
}

void ages_begin(struct ages *ages, int64_t wall_ms, int64_t mono_ms)
{
    ages->now_ms = wall_ms;
    ages->mono_ms = mono_ms;
}

void ages_pass(struct ages *ages, int64_t wall_ms, int64_t mono_ms)
{
    ages->now_ms += mono_ms - ages->mono_ms;
    ages->mono_ms = mono_ms;
    ages->wall_ahead_ms = wall_ms - ages->now_ms;
    int64_t jump_ms = ages->wall_ahead_ms - ages->wall_set_ms;
    if (jump_ms > READING_MS || jump_ms < -READING_MS) ages->wall_set_ms = ages->wall_ahead_ms;
}

int64_t ages_time_of(const struct ages *ages, int64_t wall_ms)
{
    int64_t time_ms = wall_ms - ages->wall_set_ms;
    return time_ms <= ages->now_ms + READING_MS ? time_ms : ages->now_ms;
}

static const struct age_mark *mark_at(const struct ages *ages, uint32_t i)
{
    return &ages->marks[(ages->first + i) % AGES_MARKS_MAX];
}

static const struct age_mark *last_mark(const struct ages *ages)
{
    return ages->count ? mark_at(ages, ages->count - 1) : NULL;
}

static void add_mark(struct ages *ages, const struct age_mark *mark)
{
    if (ages->count == AGES_MARKS_MAX) {
        ages->first = (ages->first + 1) % AGES_MARKS_MAX;
        ages->count--;
    }
    ages->marks[(ages->first + ages->count++) % AGES_MARKS_MAX] = *mark;
    ages->wall_ahead_of_mark_ms = ages->wall_ahead_ms;
}

/* Marks of the future are of a clock that was wrong then. */
void ages_load(struct ages *ages, const struct age_mark *mark)
{
    const struct age_mark *last = last_mark(ages);
    if (mark->time_ms <= ages->now_ms && (!last || mark->time_ms >= last->time_ms))
        add_mark(ages, mark);
}

uint64_t ages_last_sequence(const struct ages *ages)
{
    const struct age_mark *last = last_mark(ages);
    return last ? last->sequence : 0;
}

bool ages_note(struct ages *ages, uint64_t sequence_next, const struct totals *totals)
{
    const struct age_mark *last = last_mark(ages);
    int64_t jump_ms = ages->wall_ahead_ms - ages->wall_ahead_of_mark_ms;
    bool is_set = jump_ms > JUMP_MS || jump_ms < -JUMP_MS;
    if (last && !is_set && ages->now_ms < last->time_ms + ages->interval_ms) return false;
    add_mark(ages, &(struct age_mark){ages->now_ms, sequence_next, *totals});
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

int64_t ages_recorded_by_ms(const struct ages *ages, uint64_t sequence, int64_t recorded_at_ms)
{
    for (uint32_t i = ages->count; i > 0; i--) {
        const struct age_mark *mark = mark_at(ages, i - 1);
        if (mark->sequence > sequence) continue;
        bool is_believed = recorded_at_ms >= mark->time_ms - JUMP_MS;
        return is_believed ? recorded_at_ms : mark->time_ms + ages->interval_ms;
    }
    return recorded_at_ms;
}
