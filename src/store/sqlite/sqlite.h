#pragma once

#include "base/limits.h"
#include "store/dedup.h"
#include "store/dir.h"
#include "store/engine.h"
#include "store/index.h"
#include "store/sqlite/batch_rows.h"
#include "store/sqlite/db.h"
#include "store/sqlite/index_log.h"
#include "store/window.h"

#include <stdbool.h>
#include <stdint.h>

/* The embedded store: SQLite used as an append-only, queryable log, with the indexes that
 * exactly-once needs in memory. Inside of store/sqlite only. */

enum sqlite_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_INSERT_CLICKS,
    SQL_INSERT_CONVERSIONS,
    SQL_INSERT_SERVER_EVENTS,
    SQL_CLICK_BID,
    SQL_CLICK_BY_SEQ,
    SQL_CONVERSION_KEYS,
    SQL_CONVERSION_BY_SEQ,
    SQL_SERVER_EVENT_KEYS_BY_SEQ,
    SQL_INSERT_AGE_MARK,
    SQL_PUT_TOTALS,
    SQL_INSERT_KEY,
    SQL_REVOKE_KEY,
    SQL_INSERT_IMPRESSIONS,
    SQL_IMPRESSION_BID,
    SQL_IMPRESSION_BY_SEQ,
    SQL_INSERT_FEEDBACKS,
    SQL_FEEDBACK_BID,
    SQL_FEEDBACK_BY_SEQ,
    SQL_INSERT_AD_FEEDBACKS,
    SQL_AD_FEEDBACK_BID,
    SQL_AD_FEEDBACK_SESSION,
    SQL_AD_FEEDBACK_BY_SEQ,
    SQL_INSERT_VOTES,
    SQL_VOTE_BID,
    SQL_VOTE_BY_SEQ,
    SQL_DELETE_POLL,
    SQL_INSERT_POLL,
    SQL_DELETE_POLL_OPTIONS,
    SQL_INSERT_POLL_OPTION,
    SQL_WITHDRAW_POLL,
    SQL_DELETE_POLL_COUNTS,
    SQL_INSERT_POLL_COUNT,
    SQL_PUT_POLL_COUNTS,
    SQL_PROBE,
    SQL_COUNT,
};

/* How many rows each table has, in the order of the columns of `total`; events come first. */
enum total {
    TOTAL_CLICK,
    TOTAL_CONVERSION,
    TOTAL_SERVER_EVENT,
    TOTAL_IMPRESSION,
    TOTAL_FEEDBACK,
    TOTAL_AD_FEEDBACK,
    TOTAL_VOTE,
    TOTAL_EVENTS_COUNT,
    TOTAL_POLL = TOTAL_EVENTS_COUNT,
    TOTAL_POLL_OPTION,
    TOTAL_API_KEY,
    TOTALS_COUNT,
};
struct totals {
    int64_t rows[TOTALS_COUNT];
};

/* What retention removed: all rows of a table whose sequences are below. The totals count them on,
 * and so do the marks and the logs of the indexes. */
struct removed {
    int64_t rows[TOTAL_EVENTS_COUNT];
    uint64_t below[TOTAL_EVENTS_COUNT];
};

/* Remembers which sequence was current when, coarsely: what turns a time to live into the floor of
 * an index. A ring; the oldest mark is dropped when it is full. Marks are stored as well, so that a
 * start need not guess them from rows that a wrong clock may have stamped.
 *
 * A wall clock may be set, forward or back, rightly or not: nothing is forgotten for that. The
 * time of the marks, `now_ms`, is the wall clock's at the start, and from there on what has passed
 * since; what is forgotten is old by both. Marks are denser where the wall clock was set, so that
 * a row whose own time cannot be true has one beside it. */
enum { AGES_MARKS_MAX = 256 };
struct ages {
    struct age_mark {
        int64_t time_ms;
        uint64_t sequence;    /* the first one after that time */
        struct totals totals; /* events with lower sequences; the rest is 0 */
    } marks[AGES_MARKS_MAX];
    uint32_t first, count;
    int64_t interval_ms;
    int64_t now_ms, mono_ms;
    int64_t wall_ahead_ms, wall_ahead_of_mark_ms; /* of now_ms; when the last mark was made */
    int64_t wall_set_ms; /* wall_ahead_ms, without what is only how clocks are read */
};

void ages_init(struct ages *ages, int64_t ttl_max_ms);
void ages_begin(struct ages *ages, int64_t wall_ms, int64_t mono_ms);

/* Time has passed: once a batch. */
void ages_pass(struct ages *ages, int64_t wall_ms, int64_t mono_ms);

/* The time of the marks when the wall clock said `wall_ms`, to the millisecond while nobody set it.
 */
int64_t ages_time_of(const struct ages *ages, int64_t wall_ms);

/* A stored mark, in the order of sequences. */
void ages_load(struct ages *ages, const struct age_mark *mark);

/* True: it was time for a mark, and now there is one. */
bool ages_note(struct ages *ages, uint64_t sequence_next, const struct totals *totals);

uint64_t ages_last_sequence(const struct ages *ages); /* 0: there is no mark */

/* The youngest mark of `time_ms` or before; all 0 when there is none. */
struct age_mark ages_mark(const struct ages *ages, int64_t time_ms);

/* All sequences below were recorded at `time_ms` or before. */
uint64_t ages_floor(const struct ages *ages, int64_t time_ms);

/* Until when the row was recorded: at its own time, unless the clock had been set back; then before
 * the next mark was due. */
int64_t ages_recorded_by_ms(const struct ages *ages, uint64_t sequence, int64_t recorded_at_ms);

/* Numbers that stand in the logs of the indexes on disk. */
enum index_number {
    INDEX_CLICKS,
    INDEX_CLICKS_OF_BIDS,
    INDEX_CONVERSION_KEYS,
    INDEX_COLLECT_KEYS,
    INDEX_IMPRESSIONS,
    INDEX_FEEDBACKS,
    INDEX_AD_FEEDBACKS,
    INDEX_AD_FEEDBACKS_OF_BIDS,
    INDEX_VOTES,
    INDEX_NUMBERS,
    VOTE_COUNTS = INDEX_NUMBERS, /* no index: one more vote for an option */
};
enum index_log_number { LOG_CLICKS, LOG_BIDS, LOG_EVENTS, LOG_VOTES, INDEX_LOGS };
_Static_assert((int)INDEX_LOG_TOTALS == (int)TOTAL_EVENTS_COUNT, "one for each table of events");

/* An index entry made before a COMMIT that fails must go: what each batch did, newest last. */
enum { UNDO_MAX = STORE_BATCH_MAX * 3 };
struct undo_entry {
    struct index *index;
    struct index_key key; /* of a counter: what names it in the log */
    uint64_t old_value;   /* 0: the entry was added */
    uint64_t new_value;
    uint64_t *counter; /* set: no index but this counter was raised */
};

struct sqlite_store {
    struct store store; /* first: what others hold */
    struct dir dir;
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    struct store_options options;
    struct secrets *secrets; /* in locked memory */

    uint8_t fingerprint_key[HASH_FINGERPRINT_KEY_SIZE]; /* from the pepper */
    struct index clicks;               /* click id (whole) -> click, tag: enum click_tag */
    struct index clicks_of_bids;       /* bid -> its latest click, tag: how many */
    struct index conversion_keys;      /* explicit keys and order ids -> conversion */
    struct index collect_keys;         /* tag and event id -> server event */
    struct index impressions;          /* bid -> impression */
    struct index feedbacks;            /* bid -> feedback */
    struct index ad_feedbacks;         /* publisher, session and bid -> its latest ad-feedback */
    struct index ad_feedbacks_of_bids; /* bid -> its latest ad-feedback, tag: how many */
    struct index votes;                /* bid -> vote */
    struct index_log logs[INDEX_LOGS];
    struct window *sessions; /* ad-feedbacks of the last minute */
    int64_t sessions_now_ms; /* its clock, which never goes back */
    struct window *recent_clicks;
    int64_t clicks_now_ms; /* its clock */
    struct live_poll *polls;
    struct poll_copy *poll_snapshots;
    bool polls_changed; /* the batch changed texts: a failure has to read them again */
    struct ages ages;
    struct totals totals;
    struct removed removed;
    uint64_t sequence_next;
    bool has_imported_clicks; /* maybe */
    bool wants_empty_wal;     /* what was erased may stand in it */
    int64_t poll_counts;      /* rows of poll_count */

    struct batch_rows *batch_rows; /* what the batch records, until it is inserted */
    struct undo_entry undo[UNDO_MAX];
    size_t undo_count;

    int wal_pages;       /* in the WAL after the last commit */
    int wal_moved_pages; /* of them already in the database */
    uint64_t alarms;

    uint64_t rebuilt_count;
    int64_t rebuild_ms;
    int64_t commit_us;
};

enum click_tag { CLICK_HAS_BID = 1, CLICK_HAS_ADVERTISER = 2, CLICK_IS_IMPORTED = 4 };

static inline struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)store;
}

/* open.c */
struct sqlite_store *sqlite_store_new(const struct store_options *options); /* NULL: no memory */
void sqlite_store_free(struct sqlite_store *store); /* closes what is open, writes nothing */
enum err sqlite_open_connection(struct sqlite_store *store);

/* Which times to live and windows are in force from now on. */
enum err sqlite_note_windows(struct sqlite_store *store);
struct index *sqlite_index(struct sqlite_store *store, enum index_number number);

/* The same at every start: fingerprints are in the logs of the indexes. */
void sqlite_fingerprint_key(uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const struct secrets *secrets);

/* statements.c */
enum err statements_prepare(struct sqlite_store *store);
void statements_finalize(struct sqlite_store *store);

/* Steps a by-sequence statement to its row; the caller resets it. ERR_CORRUPT_ROW, which is logged:
 * the row is not there or does not fit its checksum. */
enum err statements_read_row(struct sqlite_store *store, enum sqlite_statement which,
                             uint64_t sequence);

/* The same for a statement that reads what the row's index key was made of, unchecked: where it is
 * what was looked for, the row is the one, and nothing else of it is used. */
enum err statements_read_key(struct sqlite_store *store, enum sqlite_statement which,
                             uint64_t sequence);

/* After the key was another: ERR_OK, two keys have one fingerprint; ERR_CORRUPT_ROW as above. */
enum err statements_check_key(struct sqlite_store *store, enum sqlite_statement which,
                              uint64_t sequence);

/* Logs which row cannot be trusted; ERR_CORRUPT_ROW. Any thread. */
enum err report_corrupt_row(struct span table, int64_t sequence);

/* dedup.c: keys of what must be unique, and whether a row really has them. */
/* No part of a key is longer. A derived tag_id is "site:" and a host, a little longer than what
 * clients may send. */
enum { DEDUP_PART_MAX = LIMIT_ID + 8 };

struct index_key click_key(const struct uuid *id);

/* Of a click from elsewhere, whose id may be any UUID, so that nothing of it is known to be random.
 * Its row has the route `import` and decides. */
struct index_key imported_click_key(const struct sqlite_store *store, const struct uuid *id);
bool is_import_route(struct span route);

/* The index entry of the imported click, 0 when there is none; its end of life. */
enum err dedup_find_imported_click(struct sqlite_store *store, const struct uuid *id,
                                   uint64_t *value, int64_t *expires_at_ms);
struct index_key bid_key(const struct sqlite_store *store, struct span bid_id);
struct index_key conversion_key(const struct sqlite_store *store,
                                const struct conversion *conversion, enum dedup_layer layer);
struct index_key collect_key(const struct sqlite_store *store, const struct server_event *event);

/* The index keys of a row that stands, copied out of it; spans point into `text`. */
enum { CONVERSION_KEYS_TEXT_MAX = 6 * LIMIT_ID };
enum err dedup_read_conversion(struct sqlite_store *store, uint64_t sequence,
                               struct conversion *out, char text[CONVERSION_KEYS_TEXT_MAX]);

/* The keys of an op, as far as its kind has them. */
struct op_keys {
    struct uuid click_id; /* of a conversion; all 0 when it names no click that could be one */
    struct index_key click, bid, dedup[2], session;
};

/* dedup: by enum dedup_layer for a conversion, [0] for others. Asks the memory for their places. */
void op_keys_make(const struct sqlite_store *store, const struct op *op, struct op_keys *keys);

/* The conversion that already has this key, 0 when none has, into *sequence. */
enum err dedup_find_conversion(struct sqlite_store *store, const struct conversion *conversion,
                               enum dedup_layer layer, const struct index_key *key,
                               uint64_t *sequence);
enum err dedup_find_server_event(struct sqlite_store *store, const struct op *op,
                                 const struct index_key *key, uint64_t *sequence);

/* The row of `index` whose bid this is, 0 when there is none: `statement` reads a row's bid. */
enum err dedup_find_by_bid(struct sqlite_store *store, const struct index *index,
                           enum sqlite_statement statement, const struct index_key *key,
                           struct span bid_id, uint64_t *sequence);

/* How many rows of this bid are recorded, where the index counts them in its tag; *value is the
 * entry that says so, or 0. */
enum err dedup_count_of_bid(struct sqlite_store *store, const struct index *index,
                            enum sqlite_statement statement, const struct index_key *key,
                            struct span bid_id, uint8_t *count, uint64_t *value);

/* One more of this bid, after dedup_count_of_bid. */
enum err dedup_count_up(struct sqlite_store *store, struct index *index,
                        const struct index_key *key, uint8_t count, uint64_t value,
                        uint64_t sequence);

struct index_key session_key(const struct sqlite_store *store, const struct ad_feedback *feedback);
struct index_key session_bid_key(const struct sqlite_store *store,
                                 const struct ad_feedback *feedback);

/* The index entry of the session's latest ad-feedback on that bid, 0 when there is none. */
enum err dedup_find_latest(struct sqlite_store *store, const struct ad_feedback *feedback,
                           const struct index_key *key, uint64_t *value);

/* Index changes that a failed batch takes back. ERR_NO_MEMORY: nothing changed. */
enum err undoable_add(struct sqlite_store *store, struct index *index, const struct index_key *key,
                      uint64_t value);
void undoable_replace(struct sqlite_store *store, struct index *index, const struct index_key *key,
                      uint64_t old_value, uint64_t new_value);
/* Raises it by one, for an event of that sequence. */
void undoable_count(struct sqlite_store *store, uint64_t *counter, const struct index_key *name,
                    uint64_t sequence);
void undo_all(struct sqlite_store *store);

/* totals.c */
void totals_note_recorded(struct totals *totals, enum op_kind kind); /* events only */
enum err totals_write(struct sqlite_store *store);                   /* in a transaction */
enum err totals_read(struct sqlite_store *store);                    /* the next sequence as well */

/* Whether the file says what memory says. */
enum err totals_are_same(struct sqlite_store *store, bool *same);

/* The first `count` of them, as columns. */
void totals_bind(struct db_binder *row, const struct totals *totals, int count);
void totals_column(struct totals *totals, sqlite3_stmt *row, int first, int count);

/* ERR_CORRUPT, which is logged: not so many rows were found. */
enum err totals_expect(const struct sqlite_store *store, enum total which, int64_t rows);

struct span totals_name(enum total which); /* its table */

/* retain.c */
enum err retain_apply(struct sqlite_store *store, struct op *op);
enum err removed_read(struct sqlite_store *store);
enum err removed_read_from(sqlite3 *db, struct removed *removed);
enum total sqlite_total_of_index(unsigned number); /* of an index, or VOTE_COUNTS */

/* How many of a table's rows stand below the mark, or stood there before they were removed: what a
 * scan from there on begins to count with. */
int64_t removed_or_below(const struct sqlite_store *store, enum total which,
                         const struct age_mark *mark);

/* erase.c */
enum err erase_apply(struct sqlite_store *store, struct op *op);

/* record.c: decides one op, inside the batch's transaction. */
enum err record_op(struct sqlite_store *store, struct op *op, const struct op_keys *keys);

/* click_flags.c: bits of enum event_flag, for a click that is recorded now. `latest_of_bid`: the
 * sequence of the click before it of its bid, 0 when there is none. */
uint32_t click_flags(struct sqlite_store *store, const struct op *op, const struct op_keys *keys,
                     uint64_t latest_of_bid);

/* batch_rows.c: the op's event will be inserted with this sequence; `link` as in event_row.h. */
void batch_rows_add(struct sqlite_store *store, struct op *op, uint64_t sequence, uint64_t link);

/* Inserts what waits: at the end of a batch, and before a row of the batch itself is read. */
enum err batch_rows_insert(struct sqlite_store *store);

/* record_publisher.c: impressions and both kinds of feedback. */
enum err record_publisher_op(struct sqlite_store *store, struct op *op, const struct op_keys *keys);

/* polls.c: votes, results, texts. */
enum err polls_apply(struct sqlite_store *store, struct op *op, const struct op_keys *keys);
enum err polls_load(struct sqlite_store *store);
enum err polls_reload(struct sqlite_store *store);
/* A vote that stands is counted, as one change of the batch; false: for no option. */
bool polls_count_vote(struct sqlite_store *store, int64_t poll_id, struct span option_id,
                      uint64_t sequence);
/* What names an option in the log of the votes, whatever its place in the poll. */
struct index_key polls_option_key(int64_t poll_id, struct span option_id);

/* The votes of every option, by what names it in the log; false: they are not so many together. */
bool polls_take_votes(struct sqlite_store *store, const struct index *counts, int64_t total);
void polls_free(struct sqlite_store *store);
enum err sqlite_each_poll(struct store *base, store_on_poll *on_poll, void *arg);

/* keys.c: API keys, inside the batch as well; token keys once it stands, since no ROLLBACK takes
 * their file back. */
enum err keys_apply(struct sqlite_store *store, struct op *op);
enum err token_keys_apply(struct sqlite_store *store, struct op *const ops[], size_t count);
enum err sqlite_each_key(struct store *base, store_on_key *on_key, void *arg);

/* apply.c */
enum err sqlite_write_age_mark(struct sqlite_store *store); /* of now, in a transaction */
/* Sequences of this age and older may be forgotten: loops stamp times a little out of order. */
enum { FLOOR_MARGIN_MS = 60 * 1000 };

/* When it is, for what may be forgotten: by the wall clock and by the time that passed. */
int64_t sqlite_forget_time_ms(const struct sqlite_store *store, const struct op *op);
enum err sqlite_apply(struct store *base, struct op *const ops[], size_t count);
enum err sqlite_maintain(struct store *base);
enum err sqlite_probe(struct store *base);

/* index_logs.c: what the last batch did to the indexes, now that it stands, is noted; written once
 * it covers so many events. */
bool index_logs_open(struct sqlite_store *store);
void index_logs_close(struct sqlite_store *store);
void index_logs_note(struct sqlite_store *store);
void index_logs_write(struct sqlite_store *store, uint64_t events);
enum index_log_number index_logs_of(unsigned number); /* of an index, or VOTE_COUNTS */

/* What a log is of. */
struct index_log_kind {
    struct span name;
    unsigned indexes[INDEX_LOG_COUNTS]; /* INDEX_NUMBERS: no more */
};
const struct index_log_kind *index_logs_kind(enum index_log_number which);

/* The checksum of the event's row, which is not looked at. ERR_NOT_FOUND: there is none. */
enum err sqlite_row_checksum(struct sqlite_store *store, uint64_t sequence, uint64_t *checksum);

/* index_load.c: fills the indexes of a log, from sequence `floor` on, each from its own of `floors`
 * on. `from` is where rows have to be read on from; its sequence is 0 when nothing could be used.
 */
enum err index_load(struct sqlite_store *store, enum index_log_number which, uint64_t floor,
                    const uint64_t floors[INDEX_NUMBERS], struct age_mark *from);

/* rebuild_keys.c: the keys of all conversions from the mark on. */
enum err rebuild_conversion_keys(struct sqlite_store *store, const struct age_mark *mark);

/* Rows that a start has read: whoever waits for it is told. */
void rebuild_pass_rows(struct sqlite_store *store, uint64_t count);

/* rebuild.c: the indexes, the ages and the next sequence from the rows. */
enum err rebuild_ages(struct sqlite_store *store); /* from the stored marks alone */
enum err rebuild_indexes(struct sqlite_store *store);
