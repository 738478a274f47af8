#pragma once

#include "base/err.h"
#include "base/writer.h"
#include "store/op.h"

#include <stdbool.h>
#include <stdint.h>

/* Where events live. One store, one owner: every function belongs to the thread that opened it (the
 * ledger's, once it runs). Engines implement struct store_engine; sqlite/ is the embedded one. */

struct store;

struct store_options {
    const char *dir; /* data directory */
    bool create;     /* make it when it does not exist or is empty; else ERR_NOT_FOUND */
    int64_t click_ttl_ms, impression_ttl_ms, collect_dedup_window_ms;
    int checkpoint_pages; /* store_maintain works once so many wait for it */
    int index_log_events; /* a start after a crash reads the rows of at most about so many */
};

void store_options_init(struct store_options *options); /* the contract's defaults */

/* On failure `problem` (one sentence, no full stop) says what to do. ERR_BUSY: another process
 * holds the directory. Ready for use on return: recovered, synced, indexes rebuilt. */
enum { STORE_PROBLEM_MAX = 512 };
enum err store_open(struct store **out, const struct store_options *options,
                    char problem[STORE_PROBLEM_MAX]);
void store_close(struct store *store);

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

/* Checks a data directory from outside, read-only, running server or not: file integrity, and that
 * every promise holds in the rows (one event per key, clicks exist, amounts add up). Writes
 * findings as lines to `report`; *findings is their number. */
enum err store_verify(const char *dir, struct writer *report, uint64_t *findings);
