#include "store/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events in parts of their sequences, each with how far it is; then what is configured; then both
 * sides are asked for the same sums; then the target is a data set that servers may have. */

struct copying {
    struct store_copy *copy;
    struct copy_source *source;
    struct copy_target *target;
    char *problem;
};

struct span copy_table_name(enum copy_table table)
{
    static const struct span names[COPY_TABLES] = {
        [COPY_API_KEY] = SPAN_INIT("api_key"),
        [COPY_POLL] = SPAN_INIT("poll"),
        [COPY_POLL_OPTION] = SPAN_INIT("poll_option"),
        [COPY_POLL_COUNT] = SPAN_INIT("poll_count"),
    };
    return names[table];
}

static enum err open_both(struct copying *copying)
{
    struct store_copy *copy = copying->copy;
    char *problem = copying->problem;
    enum err err = copy->is_from_database
                       ? pg_copy_source_open(&copying->source, copy->url, problem)
                       : sqlite_copy_source_open(&copying->source, copy->dir, problem);
    for (int i = 0; i < EVENT_TABLES && !err; i++)
        err = copying->source->rows->engine->ask_for(copying->source->rows, (enum op_kind)i);
    if (err) return err;
    struct secrets *secrets = copying->source->secrets;
    return copy->is_from_database
               ? sqlite_copy_target_open(&copying->target, copy, secrets, problem)
               : pg_copy_target_open(&copying->target, copy->url, secrets, problem);
}

/* -- events -------------------------------------------------------------------------------- */

static enum err copy_part(struct copying *copying, int64_t to)
{
    struct copy_target *target = copying->target;
    struct rows *rows = copying->source->rows;
    uint64_t at = (uint64_t)target->cursor;
    enum err err = copying->source->engine->check(copying->source);
    if (!err) err = target->engine->begin_part(target);
    while (!err && at < (uint64_t)to)
        err = rows->engine->read(rows, &at, (uint64_t)to, target->engine->put_event, target);
    return err ? err : target->engine->end_part(target, to);
}

static enum err copy_events(struct copying *copying)
{
    const struct store_progress *progress = &copying->copy->progress;
    struct copy_target *target = copying->target;
    int64_t last = copying->source->last, size = target->engine->sequences_per_part;
    enum err err = ERR_OK;
    while (!err && target->cursor < last) {
        int64_t left = last - target->cursor;
        err = copy_part(copying, target->cursor + (left < size ? left : size));
        if (progress->on) progress->on(progress->arg, (uint64_t)target->cursor, (uint64_t)last);
    }
    return err;
}

/* -- the end ------------------------------------------------------------------------------- */

#define SUM(what) "coalesce(sum(" what "), 0)"
#define AND " || ' ' || "

static const char *const sums_of_events[EVENT_TABLES] = {
    [OP_CONVERSION] = AND SUM("value_units % 1000003") AND SUM("value_nanos"),
    [OP_CLICK] = AND SUM("expires_at_ms % 1000003"),
};

static const char *const sums_of_tables[COPY_TABLES] = {
    [COPY_API_KEY] = AND SUM("created_at_ms") AND SUM("expires_at_ms") AND SUM("revoked_at_ms"),
    [COPY_POLL] = AND SUM("poll_id % 1000003") AND SUM("updated_at_ms") AND SUM("withdrawn_at_ms"),
    [COPY_POLL_OPTION] = AND SUM("position"),
    [COPY_POLL_COUNT] = AND SUM("votes"),
};

/* The same question to both sides. The number of rows is what the answer begins with. */
static enum err compare(struct copying *copying, struct span table, const char *sums,
                        const char *more, uint64_t *rows)
{
    char sql[384], here[COPY_ANSWER_SIZE], there[COPY_ANSWER_SIZE];
    snprintf(sql, sizeof sql, "SELECT count(*)%s%s FROM %.*s", sums ? sums : "", more,
             SPAN_FMT(table));
    enum err err = copying->source->engine->ask(copying->source, sql, here);
    if (!err) err = copying->target->engine->ask(copying->target, sql, there);
    if (err) return err;
    *rows += strtoull(here, NULL, 10);
    if (strcmp(here, there) == 0) return ERR_OK;
    snprintf(copying->problem, STORE_PROBLEM_MAX,
             "%.*s of the copy is not what the original has (%s, not %s: count and sums): do not"
             " use it, copy again into an empty %s",
             SPAN_FMT(table), there, here,
             copying->copy->is_from_database ? "directory" : "database");
    return ERR_CORRUPT;
}

static enum err compare_all(struct copying *copying)
{
    bool are_kept = copying->target->engine->keeps_checksums;
    const char *sum = are_kept ? AND SUM("seq") AND SUM("checksum % 1000003") : AND SUM("seq");
    enum err err = ERR_OK;
    uint64_t others = 0;
    copying->copy->events = 0;
    for (int i = 0; i < EVENT_TABLES && !err; i++)
        err = compare(copying, event_table_name((enum op_kind)i), sums_of_events[i], sum,
                      &copying->copy->events);
    for (int i = 0; i < COPY_TABLES && !err; i++)
        err = compare(copying, copy_table_name((enum copy_table)i), sums_of_tables[i], "", &others);
    return err;
}

static enum err run(struct copying *copying)
{
    enum err err = open_both(copying);
    struct copy_source *source = copying->source;
    struct copy_target *target = copying->target;
    if (!err) err = copy_events(copying);
    if (!err) err = target->engine->configure(target, source);
    if (!err) err = compare_all(copying);
    if (!err) err = source->engine->check(source);
    return err ? err : target->engine->finish(target);
}

enum err store_copy(struct store_copy *copy, char problem[STORE_PROBLEM_MAX])
{
    struct copying copying = {.copy = copy, .problem = problem};
    problem[0] = '\0';
    enum err err = run(&copying);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot copy %.400s: %s: %s", copy->dir, err_text(err),
                 err_advice(err));
    if (copying.target) copying.target->engine->close(copying.target);
    if (copying.source) copying.source->engine->close(copying.source);
    return err;
}
