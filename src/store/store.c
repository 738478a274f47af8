#include "store/store.h"

#include "base/assert.h"
#include "store/engine.h"

static const int64_t DAY_MS = 24 * 60 * 60 * 1000LL;

/* Small checkpoints keep the worst batch short (design section 2). */
enum { CHECKPOINT_PAGES = 1000, INDEX_LOG_EVENTS = 4096, INDEX_LOAD_CHANGES = 1 << 19 };

void store_options_init(struct store_options *options)
{
    *options = (struct store_options){
        .click_ttl_ms = 90 * DAY_MS,
        .impression_ttl_ms = 30 * DAY_MS,
        .collect_dedup_window_ms = 7 * DAY_MS,
        .checkpoint_pages = CHECKPOINT_PAGES,
        .index_log_events = INDEX_LOG_EVENTS,
        .index_load_changes = INDEX_LOAD_CHANGES,
    };
}

enum err store_open(struct store **out, const struct store_options *options,
                    char problem[STORE_PROBLEM_MAX])
{
    return options->url ? pg_store_open(out, options, problem)
                        : sqlite_store_open(out, options, problem);
}

void store_each_file(const char *url, void (*on_file)(const char *path, void *arg), void *arg)
{
    pg_store_each_file(url, on_file, arg);
}

void store_close(struct store *store)
{
    store->engine->close(store);
}

enum err store_apply(struct store *store, struct op *const ops[], size_t count)
{
    ASSERT(count > 0 && count <= STORE_BATCH_MAX);
    return store->engine->apply(store, ops, count);
}

enum err store_maintain(struct store *store)
{
    return store->engine->maintain(store);
}

enum err store_probe(struct store *store)
{
    return store->engine->probe(store);
}

enum err store_each_key(struct store *store, store_on_key *on_key, void *arg)
{
    return store->engine->each_key(store, on_key, arg);
}

enum err store_each_poll(struct store *store, store_on_poll *on_poll, void *arg)
{
    return store->engine->each_poll(store, on_poll, arg);
}

const struct secrets *store_secrets(const struct store *store)
{
    return store->engine->secrets(store);
}

bool store_is_shared(const struct store *store)
{
    return store->engine->has_changed != NULL;
}

bool store_has_changed(struct store *store)
{
    return store_is_shared(store) && store->engine->has_changed(store);
}

bool store_shares_uses(const struct store *store)
{
    return store->engine->share_uses != NULL;
}

enum err store_share_uses(struct store *store, struct store_use uses[], size_t count)
{
    ASSERT(count > 0 && count <= STORE_USES_MAX);
    return store->engine->share_uses(store, uses, count);
}

void store_stats(const struct store *store, struct store_stats *out)
{
    store->engine->stats(store, out);
}

enum err store_verify(const char *dir, struct writer *report, uint64_t *findings)
{
    char problem[STORE_PROBLEM_MAX];
    return store_verify_watched(&(struct store_verify){.dir = dir}, report, findings, problem);
}

enum err store_verify_watched(const struct store_verify *verify, struct writer *report,
                              uint64_t *findings, char problem[STORE_PROBLEM_MAX])
{
    *findings = 0;
    enum err err = verify->url ? pg_store_verify(verify, report, findings, problem)
                               : sqlite_store_verify(verify, report, findings, problem);
    return err ? err : report_verify(verify->dir, verify->url, report, findings, problem);
}

enum err store_feed_open(struct store_feed **out, const char *dir, const char *url,
                         char problem[STORE_PROBLEM_MAX])
{
    return url ? pg_feed_open(out, url, problem) : sqlite_feed_open(out, dir, problem);
}

void store_feed_close(struct store_feed *feed)
{
    if (feed) feed->engine->close(feed);
}

enum err store_feed_read(struct store_feed *feed, uint64_t *cursor, uint64_t to,
                         struct store_feed_event *events, size_t cap, size_t *count,
                         char problem[STORE_PROBLEM_MAX])
{
    ASSERT(cap > 0);
    return feed->engine->read(feed, cursor, to, events, cap, count, problem);
}

enum err store_feed_last(struct store_feed *feed, uint64_t *last)
{
    return feed->engine->last(feed, last);
}

void store_feed_receipt(const struct store_feed *feed, uint64_t sequence, char *out)
{
    feed->engine->receipt(feed, sequence, out);
}

bool store_feed_sequence(const struct store_feed *feed, struct span receipt, uint64_t *out)
{
    return feed->engine->sequence(feed, receipt, out);
}

enum err store_backup(const char *dir, const char *file, const struct store_progress *progress,
                      char problem[STORE_PROBLEM_MAX])
{
    return sqlite_store_backup(dir, file, progress, problem);
}

enum err store_restore(const char *file, const char *dir, const struct store_progress *progress,
                       char problem[STORE_PROBLEM_MAX])
{
    return sqlite_store_restore(file, dir, progress, problem);
}
