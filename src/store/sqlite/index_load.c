#include "base/log.h"
#include "store/sqlite/sqlite.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

/* The indexes, at start, from their logs. Where a change belongs is at random, and one by one each
 * would wait for memory: for its place and for where the place's page is. So changes are collected,
 * and a round of them is made in the order of the shards, half of the shards by another thread. */

enum { PREFETCH_DISTANCE = 16, HALF = INDEX_SHARDS / 2 };

struct loading {
    struct sqlite_store *store;
    int which;
    const uint64_t *floors;    /* by index: what is below need not be remembered */
    struct index *vote_counts; /* option -> votes, as a sequence */
    struct round {
        struct index_change *changes; /* as they came */
        uint32_t count, max;
        uint32_t *order;                   /* of changes: by shard, within it as they came */
        uint32_t begins[INDEX_SHARDS + 1]; /* of shards, in `order` */
    } round;
    struct helper {
        pthread_t thread;
        sem_t go, done;
        bool is_there, is_last;
        enum err err;
    } helper;
};

static enum err add_vote(struct index *counts, const struct index_key *key)
{
    struct index_cursor cursor;
    uint64_t value = index_first(counts, key, &cursor);
    uint64_t more = INDEX_VALUE(INDEX_SEQUENCE(value) + 1, 0);
    bool done = value ? index_replace(counts, key, value, more) : index_add(counts, key, more);
    return done ? ERR_OK : ERR_NO_MEMORY;
}

static struct index *index_of(const struct loading *loading, const struct index_change *change)
{
    return change->index == VOTE_COUNTS ? loading->vote_counts
                                        : sqlite_index(loading->store, change->index);
}

/* What it replaces is missing when that was old enough not to be read. */
static enum err make_change(const struct loading *loading, const struct index_change *change)
{
    struct index *index = index_of(loading, change);
    if (change->index == VOTE_COUNTS) return add_vote(index, &change->key);
    if (change->old_value &&
        index_replace(index, &change->key, change->old_value, change->new_value))
        return ERR_OK;
    return index_add(index, &change->key, change->new_value) ? ERR_OK : ERR_NO_MEMORY;
}

/* -- a round --------------------------------------------------------------------------------- */

static void sort_round(struct round *round)
{
    uint32_t next[INDEX_SHARDS], begin = 0;
    uint32_t counts[INDEX_SHARDS] = {0};
    for (uint32_t i = 0; i < round->count; i++)
        counts[index_shard(&round->changes[i].key)]++;
    for (size_t shard = 0; shard < INDEX_SHARDS; shard++) {
        round->begins[shard] = next[shard] = begin;
        begin += counts[shard];
    }
    round->begins[INDEX_SHARDS] = begin;
    for (uint32_t i = 0; i < round->count; i++)
        round->order[next[index_shard(&round->changes[i].key)]++] = i;
}

static const struct index_change *nth(const struct round *round, uint32_t at)
{
    return &round->changes[round->order[at]];
}

/* The change first, since it lies anywhere too, then where it belongs. */
static void ask_ahead(const struct loading *loading, uint32_t at, uint32_t end)
{
    const struct round *round = &loading->round;
    if (end - at > 2 * PREFETCH_DISTANCE)
        __builtin_prefetch(nth(round, at + 2 * PREFETCH_DISTANCE));
    if (end - at <= PREFETCH_DISTANCE) return;
    const struct index_change *change = nth(round, at + PREFETCH_DISTANCE);
    index_prefetch(index_of(loading, change), &change->key);
}

static enum err make_shards(const struct loading *loading, unsigned from, unsigned to)
{
    const struct round *round = &loading->round;
    enum err err = ERR_OK;
    uint32_t end = round->begins[to]; /* what follows is the other thread's */
    for (uint32_t at = round->begins[from]; at < end && !err; at++) {
        ask_ahead(loading, at, end);
        err = make_change(loading, nth(round, at));
    }
    return err;
}

static void *help(void *arg)
{
    struct loading *loading = arg;
    struct helper *helper = &loading->helper;
    for (sem_wait(&helper->go); !helper->is_last; sem_wait(&helper->go)) {
        helper->err = make_shards(loading, HALF, INDEX_SHARDS);
        sem_post(&helper->done);
    }
    return NULL;
}

/* Without one everything is done all the same. */
static void start_helper(struct loading *loading)
{
    struct helper *helper = &loading->helper;
    sem_init(&helper->go, 0, 0);
    sem_init(&helper->done, 0, 0);
    helper->is_there = pthread_create(&helper->thread, NULL, help, loading) == 0;
}

static void stop_helper(struct loading *loading)
{
    struct helper *helper = &loading->helper;
    helper->is_last = true;
    sem_post(&helper->go);
    if (helper->is_there) pthread_join(helper->thread, NULL);
    sem_destroy(&helper->go);
    sem_destroy(&helper->done);
}

static enum err make_round(struct loading *loading)
{
    struct helper *helper = &loading->helper;
    sort_round(&loading->round);
    if (helper->is_there) sem_post(&helper->go);
    enum err err = make_shards(loading, 0, helper->is_there ? HALF : INDEX_SHARDS);
    if (helper->is_there) sem_wait(&helper->done);
    loading->round.count = 0;
    return err ? err : helper->err;
}

static bool round_init(struct round *round, uint32_t max)
{
    *round = (struct round){
        .max = max,
        .changes = malloc(max * sizeof *round->changes),
        .order = malloc(max * sizeof *round->order),
    };
    return round->changes && round->order;
}

static void round_fini(struct round *round)
{
    free(round->changes);
    free(round->order);
}

/* -- what a log says --------------------------------------------------------------------------- */

static bool is_wanted(struct loading *loading, const struct index_change *change)
{
    if (change->index >= INDEX_NUMBERS) return change->index == VOTE_COUNTS;
    if (change->index == INDEX_CLICKS && INDEX_TAG(change->new_value) & CLICK_IS_IMPORTED)
        loading->store->has_imported_clicks = true;
    return INDEX_SEQUENCE(change->new_value) >= loading->floors[change->index];
}

static enum err load_block(void *arg, struct index_log_reader changes,
                           const struct index_log_mark *mark)
{
    struct loading *loading = arg;
    struct round *round = &loading->round;
    struct index_change *change = &round->changes[round->count];
    enum err err = ERR_OK;
    while (!err && index_log_next(&changes, change)) {
        if (!is_wanted(loading, change)) continue;
        if (++round->count == round->max) err = make_round(loading);
        change = &round->changes[round->count];
    }
    return err;
}

/* Room at once. Without it indexes grow as ever. */
static void load_counts(void *arg, const uint64_t counts[INDEX_LOG_COUNTS])
{
    struct loading *loading = arg;
    uint64_t recorded = loading->store->sequence_next;
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        unsigned number = index_logs_kind(loading->which)->indexes[i];
        if (number < INDEX_NUMBERS && counts[i] <= 2 * recorded)
            index_reserve(sqlite_index(loading->store, number), counts[i]);
    }
}

/* Whether the log is of this database: rows are never changed, and two databases that were one have
 * no row in common that was recorded later. */
static enum err is_of_database(struct sqlite_store *store, const struct index_log_mark *mark,
                               bool *is)
{
    uint64_t checksum;
    *is = mark->sequence_next > 1 && mark->sequence_next <= store->sequence_next;
    for (int i = 0; i < INDEX_LOG_TOTALS; i++)
        *is = *is && mark->totals[i] <= store->totals.rows[i];
    if (!*is) return ERR_OK;
    enum err err = sqlite_row_checksum(store, mark->sequence_next - 1, &checksum);
    *is = !err && checksum == mark->row_checksum;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void forget_loaded(struct sqlite_store *store, int which)
{
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        unsigned number = index_logs_kind(which)->indexes[i];
        if (number < INDEX_NUMBERS) index_clear(sqlite_index(store, number));
    }
}

static enum err read_changes(struct loading *loading, uint64_t floor, struct index_log_mark *mark)
{
    struct index_log *log = &loading->store->logs[loading->which];
    const struct index_log_visitor visitor = {load_block, load_counts, loading};
    if (!round_init(&loading->round, loading->store->options.index_load_changes)) {
        round_fini(&loading->round);
        return ERR_NO_MEMORY;
    }
    start_helper(loading);
    enum err err = index_log_read(log, floor ? floor : 1, &visitor, mark);
    if (!err) err = make_round(loading);
    stop_helper(loading);
    round_fini(&loading->round);
    return err;
}

static enum err read_log(struct loading *loading, uint64_t floor, struct index_log_mark *mark)
{
    struct sqlite_store *store = loading->store;
    enum err err = read_changes(loading, floor, mark);
    bool is_usable = !err && mark->sequence_next > floor;
    if (is_usable) err = is_of_database(store, mark, &is_usable);
    if (is_usable && loading->which == LOG_VOTES)
        is_usable = polls_take_votes(store, loading->vote_counts, mark->totals[TOTAL_VOTE]);
    if (!is_usable) *mark = (struct index_log_mark){.sequence_next = 0};
    return err;
}

enum err index_load(struct sqlite_store *store, enum index_log_number which, uint64_t floor,
                    const uint64_t floors[INDEX_NUMBERS], struct age_mark *from)
{
    struct index vote_counts;
    struct loading loading = {
        .store = store, .which = which, .floors = floors, .vote_counts = &vote_counts};
    struct index_log_mark mark;
    index_init(&vote_counts, 1);
    enum err err = read_log(&loading, floor, &mark);
    index_fini(&vote_counts);
    if (err) return err;
    *from = (struct age_mark){.sequence = mark.sequence_next};
    memcpy(from->totals.rows, mark.totals, sizeof mark.totals);
    if (mark.sequence_next) {
        index_log_resume(&store->logs[which]);
        return ERR_OK;
    }
    if (store->logs[which].newest)
        log_event(LOG_WARN, "index_log_ignored", LOG_TEXT("log", index_logs_kind(which)->name),
                  LOG_TEXT("consequence", SPAN("the rows are read")));
    forget_loaded(store, which);
    index_log_restart(&store->logs[which], floor);
    return ERR_OK;
}
