#include "base/log.h"
#include "store/sqlite/sqlite.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

/* The logs of the store's indexes (index_log.h): what is written after batches and read at start.
 * One for all that is forgotten at the same age. */

enum { PREFETCH_DISTANCE = 16 };

static const struct log_kind {
    struct span name;
    enum index_number indexes[INDEX_LOG_COUNTS]; /* INDEX_NUMBERS: no more */
} kinds[INDEX_LOGS] = {
    [LOG_CLICKS] = {SPAN_INIT("clicks"),
                    {INDEX_CLICKS, INDEX_CLICKS_OF_BIDS, INDEX_CONVERSION_KEYS, INDEX_NUMBERS}},
    [LOG_BIDS] = {SPAN_INIT("bids"),
                  {INDEX_IMPRESSIONS, INDEX_FEEDBACKS, INDEX_AD_FEEDBACKS,
                   INDEX_AD_FEEDBACKS_OF_BIDS}},
    [LOG_EVENTS] = {SPAN_INIT("events"),
                    {INDEX_COLLECT_KEYS, INDEX_NUMBERS, INDEX_NUMBERS, INDEX_NUMBERS}},
    [LOG_VOTES] = {SPAN_INIT("votes"), {INDEX_VOTES, INDEX_NUMBERS, INDEX_NUMBERS, INDEX_NUMBERS}},
};

static const enum index_log_number log_of_index[INDEX_NUMBERS + 1] = {
    [INDEX_CLICKS] = LOG_CLICKS,
    [INDEX_CLICKS_OF_BIDS] = LOG_CLICKS,
    [INDEX_CONVERSION_KEYS] = LOG_CLICKS,
    [INDEX_COLLECT_KEYS] = LOG_EVENTS,
    [INDEX_IMPRESSIONS] = LOG_BIDS,
    [INDEX_FEEDBACKS] = LOG_BIDS,
    [INDEX_AD_FEEDBACKS] = LOG_BIDS,
    [INDEX_AD_FEEDBACKS_OF_BIDS] = LOG_BIDS,
    [INDEX_VOTES] = LOG_VOTES,
    [VOTE_COUNTS] = LOG_VOTES,
};

enum index_log_number index_logs_of(unsigned number)
{
    return log_of_index[number];
}

bool index_logs_open(struct sqlite_store *store)
{
    for (int i = 0; i < INDEX_LOGS; i++) {
        uint64_t identity =
            hash_fingerprint(store->fingerprint_key, kinds[i].name.ptr, kinds[i].name.len);
        if (!index_log_open(&store->logs[i], store->dir.fd, kinds[i].name, identity)) return false;
    }
    return true;
}

void index_logs_close(struct sqlite_store *store)
{
    for (int i = 0; i < INDEX_LOGS; i++)
        index_log_close(&store->logs[i]);
}

/* -- writing ------------------------------------------------------------------------------- */

void index_logs_note(struct sqlite_store *store)
{
    for (size_t i = 0; i < store->undo_count; i++) {
        const struct undo_entry *entry = &store->undo[i];
        unsigned number = entry->index ? entry->index->number : (unsigned)VOTE_COUNTS;
        struct index_change change = {
            .index = number,
            .words = entry->index ? entry->index->words : 1,
            .key = entry->key,
            .old_value = entry->old_value,
            .new_value = entry->new_value,
        };
        index_log_note(&store->logs[log_of_index[number]], &change);
    }
    store->undo_count = 0;
}

enum err sqlite_row_checksum(struct sqlite_store *store, uint64_t sequence, uint64_t *checksum)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row,
                              "SELECT checksum FROM click WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM conversion WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM server_event WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM impression WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM feedback WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM ad_feedback WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM vote WHERE seq = ?1");
    if (err) return err;
    sqlite3_bind_int64(row, 1, (int64_t)sequence);
    int code = sqlite3_step(row);
    *checksum = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    if (code != SQLITE_ROW) err = code == SQLITE_DONE ? ERR_NOT_FOUND : db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static void write_log(struct sqlite_store *store, int which, struct index_log_mark *mark)
{
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        enum index_number number = kinds[which].indexes[i];
        mark->counts[i] = number < INDEX_NUMBERS ? sqlite_index(store, number)->count : 0;
    }
    index_log_write(&store->logs[which], mark);
}

static uint64_t floor_of_log(struct sqlite_store *store, int which)
{
    uint64_t floor = UINT64_MAX;
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        enum index_number number = kinds[which].indexes[i];
        if (number < INDEX_NUMBERS && sqlite_index(store, number)->floor < floor)
            floor = sqlite_index(store, number)->floor;
    }
    return floor;
}

static bool is_due(const struct sqlite_store *store, const struct index_log *log, uint64_t events)
{
    return !log->is_off && store->sequence_next > log->begin &&
           (log->part || store->sequence_next - log->begin >= events);
}

void index_logs_write(struct sqlite_store *store, uint64_t events)
{
    bool is_any_due = false;
    for (int i = 0; i < INDEX_LOGS; i++)
        is_any_due = is_any_due || is_due(store, &store->logs[i], events);
    struct index_log_mark mark = {.sequence_next = store->sequence_next};
    if (!is_any_due || !store->db ||
        sqlite_row_checksum(store, store->sequence_next - 1, &mark.row_checksum))
        return;
    memcpy(mark.totals, store->totals.rows, sizeof mark.totals);
    for (int i = 0; i < INDEX_LOGS; i++) {
        if (!is_due(store, &store->logs[i], events)) continue;
        write_log(store, i, &mark);
        index_log_expire(&store->logs[i], floor_of_log(store, i));
    }
}

/* -- reading ------------------------------------------------------------------------------- */

/* Filling the indexes waits for memory most of the time, so two threads do it, each its own
 * indexes: block by block, so that the one that reads has a place to read to. */
struct loading {
    struct sqlite_store *store;
    int which;
    const uint64_t *floors;    /* by index: what is below need not be remembered */
    struct index *vote_counts; /* option -> votes, as a sequence */
    struct helper {
        pthread_t thread;
        sem_t go, done;
        struct index_log_reader changes;
        bool is_there, is_last;
        enum err err;
    } helper;
};

static const bool is_of_helper[INDEX_NUMBERS + 1] = {
    [INDEX_CLICKS_OF_BIDS] = true,       [INDEX_CONVERSION_KEYS] = true, [INDEX_FEEDBACKS] = true,
    [INDEX_AD_FEEDBACKS_OF_BIDS] = true, [INDEX_VOTES] = true,
};

static enum err add_vote(struct index *counts, const struct index_key *key)
{
    struct index_cursor cursor;
    uint64_t value = index_first(counts, key, &cursor);
    uint64_t more = INDEX_VALUE(INDEX_SEQUENCE(value) + 1, 0);
    bool done = value ? index_replace(counts, key, value, more) : index_add(counts, key, more);
    return done ? ERR_OK : ERR_NO_MEMORY;
}

/* What it replaces is missing when that was old enough not to be read. */
static enum err apply_change(struct loading *loading, const struct index_change *change)
{
    if (change->index == VOTE_COUNTS) return add_vote(loading->vote_counts, &change->key);
    struct index *index = sqlite_index(loading->store, change->index);
    if (change->index == INDEX_CLICKS && INDEX_TAG(change->new_value) & CLICK_IS_IMPORTED)
        loading->store->has_imported_clicks = true;
    if (INDEX_SEQUENCE(change->new_value) < loading->floors[change->index]) return ERR_OK;
    if (change->old_value &&
        index_replace(index, &change->key, change->old_value, change->new_value))
        return ERR_OK;
    return index_add(index, &change->key, change->new_value) ? ERR_OK : ERR_NO_MEMORY;
}

static bool is_for(const struct loading *loading, bool is_helper, const struct index_change *change)
{
    return change->index <= INDEX_NUMBERS &&
           (loading->helper.is_there && is_of_helper[change->index]) == is_helper;
}

static void prefetch(struct loading *loading, bool is_helper, struct index_log_reader *ahead)
{
    struct index_change change;
    if (index_log_next(ahead, &change) && change.index < INDEX_NUMBERS &&
        is_for(loading, is_helper, &change))
        index_prefetch(sqlite_index(loading->store, change.index), &change.key);
}

static enum err load_changes(struct loading *loading, bool is_helper,
                             struct index_log_reader changes)
{
    struct index_log_reader ahead = changes;
    struct index_change change;
    enum err err = ERR_OK;
    for (int i = 0; i < PREFETCH_DISTANCE; i++)
        prefetch(loading, is_helper, &ahead);
    while (!err && index_log_next(&changes, &change)) {
        prefetch(loading, is_helper, &ahead);
        if (is_for(loading, is_helper, &change)) err = apply_change(loading, &change);
    }
    return err;
}

static void *help(void *arg)
{
    struct loading *loading = arg;
    struct helper *helper = &loading->helper;
    for (sem_wait(&helper->go); !helper->is_last; sem_wait(&helper->go)) {
        helper->err = load_changes(loading, true, helper->changes);
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

static enum err load_block(void *arg, struct index_log_reader changes,
                           const struct index_log_mark *mark)
{
    struct loading *loading = arg;
    struct helper *helper = &loading->helper;
    helper->changes = changes;
    if (helper->is_there) sem_post(&helper->go);
    enum err err = load_changes(loading, false, changes);
    if (helper->is_there) sem_wait(&helper->done);
    return err ? err : helper->err;
}

/* Room at once. Without it indexes grow as ever. */
static void load_counts(void *arg, const uint64_t counts[INDEX_LOG_COUNTS])
{
    struct loading *loading = arg;
    uint64_t recorded = loading->store->sequence_next;
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        enum index_number number = kinds[loading->which].indexes[i];
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
    for (int i = 0; i < INDEX_LOG_COUNTS; i++)
        if (kinds[which].indexes[i] < INDEX_NUMBERS)
            index_clear(sqlite_index(store, kinds[which].indexes[i]));
}

static enum err read_log(struct loading *loading, uint64_t floor, struct index_log_mark *mark)
{
    struct sqlite_store *store = loading->store;
    struct index_log *log = &store->logs[loading->which];
    const struct index_log_visitor visitor = {load_block, load_counts, loading};
    start_helper(loading);
    enum err err = index_log_read(log, floor ? floor : 1, &visitor, mark);
    stop_helper(loading);
    bool is_usable = !err && mark->sequence_next > floor;
    if (is_usable) err = is_of_database(store, mark, &is_usable);
    if (is_usable && loading->which == LOG_VOTES)
        is_usable = polls_take_votes(store, loading->vote_counts, mark->totals[TOTAL_VOTE]);
    if (!is_usable) *mark = (struct index_log_mark){.sequence_next = 0};
    return err;
}

enum err index_logs_load(struct sqlite_store *store, enum index_log_number which, uint64_t floor,
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
        log_event(LOG_WARN, "index_log_ignored", LOG_TEXT("log", kinds[which].name),
                  LOG_TEXT("consequence", SPAN("the rows are read")));
    forget_loaded(store, which);
    index_log_restart(&store->logs[which], floor);
    return ERR_OK;
}
