#pragma once

#include "store/keys.h"
#include "store/rows.h"
#include "store/store.h"

/* adtally copy: all of a data set, out of one engine into the other. copy.c takes the steps; an
 * engine is read by its copy_source.c and filled by its copy_target.c, and none knows the other. */

/* What is configured: small, and copied whole. */
enum copy_table { COPY_API_KEY, COPY_POLL, COPY_POLL_OPTION, COPY_POLL_COUNT, COPY_TABLES };
struct span copy_table_name(enum copy_table table);

enum { COPY_ANSWER_SIZE = 128 };

struct copy_source {
    const struct copy_source_engine *engine;
    struct rows *rows; /* of either engine with columns in the same order */
    struct secrets *secrets;
    int64_t last; /* sequence: nobody records a later one while the source is open */
};

/* What goes wrong is said in the `problem` of who opened it. */
struct copy_source_engine {
    enum err (*ask)(struct copy_source *source, const char *sql, char answer[COPY_ANSWER_SIZE]);
    enum err (*check)(struct copy_source *source); /* still nobody records */
    void (*close)(struct copy_source *source);
};

/* Opened, it is empty, or holds what an earlier copy of the same source has brought so far. */
struct copy_target {
    const struct copy_target_engine *engine;
    int64_t cursor; /* the sequence up to which it has everything */
};

struct copy_target_engine {
    int64_t sequences_per_part;
    bool keeps_checksums; /* of every row, as they were */
    /* A part, which stands as a whole or not at all: begin, events, then end. */
    enum err (*begin_part)(struct copy_target *target);
    rows_on_event *put_event; /* arg: the target */
    enum err (*end_part)(struct copy_target *target, int64_t to);
    /* Secrets and what is configured, in place of what an earlier copy brought of it. */
    enum err (*configure)(struct copy_target *target, struct copy_source *source);
    enum err (*ask)(struct copy_target *target, const char *sql, char answer[COPY_ANSWER_SIZE]);
    enum err (*finish)(struct copy_target *target); /* from here on servers may have it */
    void (*close)(struct copy_target *target);
};

/* `problem`: STORE_PROBLEM_MAX, filled in on failures that can say more than their enum err. On
 * failure there is nothing to close. */
enum err sqlite_copy_source_open(struct copy_source **out, const char *dir, char *problem);
enum err pg_copy_source_open(struct copy_source **out, const char *url, char *problem);
enum err sqlite_copy_target_open(struct copy_target **out, const struct store_copy *copy,
                                 struct secrets *secrets, char *problem);
enum err pg_copy_target_open(struct copy_target **out, const char *url, struct secrets *secrets,
                             char *problem);
