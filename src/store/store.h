#pragma once

#include "base/err.h"
#include "base/writer.h"
#include "store/op.h"

#include <stdbool.h>
#include <stdint.h>

/* Where events live. One store, one owner: every function belongs to the thread that opened it (the
 * ledger's, once it runs). Engines implement struct store_engine; sqlite/ is the embedded one. */

struct store;

/* Told about long work as it goes on, a few times a second or more; `on` may be NULL. */
struct store_progress {
    void (*on)(void *arg, uint64_t done, uint64_t of);
    void *arg;
};

struct store_options {
    const char *dir;      /* data directory */
    const char *url;      /* of a PostgreSQL database that holds the store; NULL: `dir` does */
    uint32_t lane;        /* of this process over one: the first, 0, brings the schema up to date */
    struct store *beside; /* of all lanes but the first: that one, of the same process */
    bool create;          /* make it when it does not exist or is empty; else ERR_NOT_FOUND */
    int64_t click_ttl_ms, impression_ttl_ms, collect_dedup_window_ms;
    int checkpoint_pages;        /* store_maintain works once so many wait for it */
    int index_log_events;        /* a start after a crash reads the rows of at most about so many */
    uint32_t index_load_changes; /* a start sorts so many at once: 44 bytes each, while it lasts */
    struct store_progress progress; /* of a start that reads rows */
};

void store_options_init(struct store_options *options); /* the contract's defaults */

/* On failure `problem` (one sentence, no full stop) says what to do. ERR_BUSY: another process
 * holds the directory. Ready for use on return: recovered, synced, indexes rebuilt. */
enum { STORE_PROBLEM_MAX = 512 };
enum err store_open(struct store **out, const struct store_options *options,
                    char problem[STORE_PROBLEM_MAX]);
void store_close(struct store *store);

/* What connections to `url` are made with besides: files of passwords and certificates, or the
 * directories that they are in. */
void store_each_file(const char *url, void (*on_file)(const char *path, void *arg), void *arg);

/* Decides every op of a batch in order and makes all of it durable at once.
 *   ERR_OK           every op has its outcome, what was recorded is on stable storage
 *   ERR_SYNC_FAILED  nothing may be trusted any more: end the process, acknowledge nothing
 *   anything else    nothing of the batch happened; every op is OUTCOME_UNAVAILABLE */
enum { STORE_BATCH_MAX = 1024 };
enum err store_apply(struct store *store, struct op *const ops[], size_t count);

/* Housekeeping that must not delay answers: call after they are out. ERR_SYNC_FAILED as above. */
enum err store_maintain(struct store *store);

/* Whether a write goes through now, by doing one. */
enum err store_probe(struct store *store);

/* All API keys, and the secrets; both as of the last applied batch. Borrowed until the next call
 * into the store. */
typedef void store_on_key(const struct api_key *key, void *arg);
enum err store_each_key(struct store *store, store_on_key *on_key, void *arg);
typedef void store_on_poll(const struct poll *poll, void *arg);

/* All polls, withdrawn ones too. What `on_poll` is given stays in place until the store is closed.
 */
enum err store_each_poll(struct store *store, store_on_poll *on_poll, void *arg);
const struct secrets *store_secrets(const struct store *store);

/* Whether other processes may write to what is stored, and so change keys and polls. */
bool store_is_shared(const struct store *store);

/* Whether another one changed keys, polls or token keys since the last call: they are to be read
 * again. Seen by store_apply and store_maintain, which look twice a second. */
bool store_has_changed(struct store *store);

/* For a rate that several processes keep together: adds what was let through here of each key since
 * the last call, and tells what all others let through of it, ever since. Only of a store that
 * store_shares_uses. */
struct store_use {
    struct span key_id;
    uint64_t used;
    uint64_t others; /* out */
};
enum { STORE_USES_MAX = 1024 };
bool store_shares_uses(const struct store *store);
enum err store_share_uses(struct store *store, struct store_use uses[], size_t count);

struct store_stats {
    uint64_t sequence_next;
    uint64_t clicks_indexed, keys_indexed;
    uint64_t index_bytes;
    uint64_t wal_bytes;
    uint64_t rebuilt_count; /* rows read at start */
    int64_t rebuild_ms;
    int64_t commit_us; /* the last COMMIT */
};
void store_stats(const struct store *store, struct store_stats *out);

/* Checks a store from outside, read-only, running server or not: integrity, that every promise
 * holds in the rows (one event per key, clicks exist, amounts add up), and reports.db. Writes
 * findings as lines to `report`; *findings is their number. */
struct store_verify {
    const char *dir, *url; /* url: as in struct store_options */
    struct store_progress progress;
};
enum err store_verify_watched(const struct store_verify *verify, struct writer *report,
                              uint64_t *findings, char problem[STORE_PROBLEM_MAX]);
enum err store_verify(const char *dir, struct writer *report, uint64_t *findings);

/* The rows of a data directory as text, in the order of recording, running server or not. Read in
 * short transactions, so that the WAL can start over; ends with what was recorded when it began. */
enum store_format { STORE_NDJSON, STORE_CSV };
struct store_export {
    const char *dir, *url;    /* url: as in struct store_options */
    enum store_format format; /* CSV: of one table */
    struct span table;        /* absent: all tables of events */
    struct span since;        /* a receipt: what was recorded after it; absent: everything */
    bool (*on_text)(void *arg, struct span text); /* whole lines; false: stop, ERR_IO */
    void *arg;
    struct store_progress progress;
};
enum err store_export(const struct store_export *export, char problem[STORE_PROBLEM_MAX]);

/* Follows what is recorded, beside a running server: every final event behind a cursor, in order of
 * their sequences, each as `adtally export` writes it. A cursor is the sequence up to which
 * everything was read; 0 is before the first. One thread at a time. */
struct store_feed;
struct store_feed_event {
    enum op_kind table;
    uint64_t sequence;
    int64_t recorded_at_ms;
    struct span receipt; /* RECEIPT_LEN */
    /* What orders it: click_id of clicks and conversions, tag_id of server events, bid_id of the
     * others (an ad-feedback's own id where the ad had none). */
    struct span key;
    struct span partner_id;  /* absent: it has none */
    struct span campaign_id; /* its own; of conversions and feedback: its click's or impression's */
    struct span text;        /* a JSON object, without a line feed */
};

/* `url`, of a PostgreSQL database, stays the caller's; NULL: in `dir`. ERR_NOT_FOUND: there is no
 * such directory or database, or nothing in it yet. */
enum err store_feed_open(struct store_feed **out, const char *dir, const char *url,
                         char problem[STORE_PROBLEM_MAX]);
void store_feed_close(struct store_feed *feed);

/* The next events behind *cursor and up to the sequence `to`, as many as fit, at least one if there
 * is one. *cursor moves to where reading goes on. Nothing stays open, and what `events` point at
 * stays until the next call. ERR_CORRUPT_ROW: the next row is damaged. */
enum err store_feed_read(struct store_feed *feed, uint64_t *cursor, uint64_t to,
                         struct store_feed_event *events, size_t cap, size_t *count,
                         char problem[STORE_PROBLEM_MAX]);

/* The last sequence that is final. It costs little when nothing was recorded since it was asked. */
enum err store_feed_last(struct store_feed *feed, uint64_t *last);

/* The receipt of a sequence, and back; false: it is none of this data directory. */
void store_feed_receipt(const struct store_feed *feed, uint64_t sequence, char *out);
bool store_feed_sequence(const struct store_feed *feed, struct span receipt, uint64_t *out);

/* Finds the rows that tell of a person, for OP_ERASE, beside a running server: those of the user,
 * and of the session when one is named, and what belongs to their clicks and bids. */
struct store_person {
    const char *dir, *url;           /* url: as in struct store_options */
    struct span user_id, session_id; /* session_id: may be absent */
    /* At most ERASE_ROWS_MAX sequences of a table, to be erased before this returns. False: stop,
     * ERR_IO. */
    bool (*on_rows)(void *arg, enum op_kind table, const uint64_t *rows, uint32_t count);
    void *arg;
    struct store_progress progress;
};
enum err store_find_person(const struct store_person *person);

/* One file that holds a data directory as of one moment, secrets included, mode 0600, made beside a
 * running server: a new file, which takes the name once it is whole and synced. */
enum err store_backup(const char *dir, const char *file, const struct store_progress *progress,
                      char problem[STORE_PROBLEM_MAX]);

/* Makes a data directory of it, in a directory that holds none. ERR_CORRUPT: the file is damaged,
 * nothing was made. */
enum err store_restore(const char *file, const char *dir, const struct store_progress *progress,
                       char problem[STORE_PROBLEM_MAX]);

/* Fills an empty database with all of a data directory, or a directory that is empty or new with
 * all of a database: keys, secrets, polls and events with their sequences, and what makes an event
 * a duplicate. No server may have either. Done in parts: when it is cut off, the next call goes on.
 */
struct store_copy {
    const char *dir, *url;
    bool is_from_database;        /* else from the directory */
    struct store_options options; /* of the servers: times to live and windows, for a directory */
    struct store_progress progress;
    uint64_t events; /* out: those that both have */
};
enum err store_copy(struct store_copy *copy, char problem[STORE_PROBLEM_MAX]);
