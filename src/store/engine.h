#pragma once

#include "store/store.h"

/* What an engine is made of: the functions of store.h, with the same promises. Every engine's store
 * begins with a struct store. */

struct store_engine {
    const char *name;
    void (*close)(struct store *store);
    enum err (*apply)(struct store *store, struct op *const ops[], size_t count);
    enum err (*maintain)(struct store *store);
    enum err (*probe)(struct store *store);
    enum err (*each_key)(struct store *store, store_on_key *on_key, void *arg);
    enum err (*each_poll)(struct store *store, store_on_poll *on_poll, void *arg);
    const struct secrets *(*secrets)(const struct store *store);
    void (*stats)(const struct store *store, struct store_stats *out);
    /* Engines that others write to at the same time; NULL: nobody does. */
    bool (*has_changed)(struct store *store);
    enum err (*share_uses)(struct store *store, struct store_use uses[], size_t count);
};

struct store {
    const struct store_engine *engine;
};

struct feed_engine {
    void (*close)(struct store_feed *feed);
    enum err (*read)(struct store_feed *feed, uint64_t *cursor, uint64_t to,
                     struct store_feed_event *events, size_t cap, size_t *count,
                     char problem[STORE_PROBLEM_MAX]);
    enum err (*last)(struct store_feed *feed, uint64_t *last);
    void (*receipt)(const struct store_feed *feed, uint64_t sequence, char *out);
    bool (*sequence)(const struct store_feed *feed, struct span receipt, uint64_t *out);
};

struct store_feed {
    const struct feed_engine *engine;
};

/* store/sqlite. Sums of reports against a recount, of whichever engine; of damage that ends it,
 * `problem` tells. */
enum err report_verify(const char *dir, const char *url, struct writer *report, uint64_t *findings,
                       char problem[STORE_PROBLEM_MAX]);
enum err sqlite_store_open(struct store **out, const struct store_options *options,
                           char problem[STORE_PROBLEM_MAX]);
enum err sqlite_store_verify(const struct store_verify *verify, struct writer *report,
                             uint64_t *findings, char problem[STORE_PROBLEM_MAX]);
enum err sqlite_feed_open(struct store_feed **out, const char *dir,
                          char problem[STORE_PROBLEM_MAX]);
enum err sqlite_store_backup(const char *dir, const char *file,
                             const struct store_progress *progress,
                             char problem[STORE_PROBLEM_MAX]);
enum err sqlite_store_restore(const char *file, const char *path,
                              const struct store_progress *progress,
                              char problem[STORE_PROBLEM_MAX]);

/* store/postgres: `options->url` is a URL of libpq. */
enum err pg_store_open(struct store **out, const struct store_options *options,
                       char problem[STORE_PROBLEM_MAX]);
void pg_store_each_file(const char *url, void (*on_file)(const char *path, void *arg), void *arg);
enum err pg_feed_open(struct store_feed **out, const char *url, char problem[STORE_PROBLEM_MAX]);
enum err pg_store_verify(const struct store_verify *verify, struct writer *report,
                         uint64_t *findings, char problem[STORE_PROBLEM_MAX]);
