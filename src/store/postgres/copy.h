#pragma once

#include "store/postgres/batch.h"
#include "store/sqlite/merge.h"

/* A data directory into a database: copy.c has the steps, copy_rows.c what a row becomes. */

enum copy_keys {
    COPY_CLICK_KEYS,
    COPY_CONVERSION_KEYS,
    COPY_BID_KEYS,
    COPY_EVENT_KEYS,
    COPY_SESSION_KEYS,
    COPY_KEYS,
};

enum { COPY_SQL_MAX = 1024 };

struct pg_copy {
    struct store_copy *copy;
    char *problem;
    struct dir dir; /* held, so that no server runs */
    struct merge merge;
    struct secrets *secrets;
    struct pg_connection connection;
    struct pg_params params;
    int64_t database_ms; /* the database's clock, when it began */
    int64_t last;        /* sequence of the source */
    sqlite3_stmt *click_end;

    /* One part of the sequences. */
    struct pg_params events[EVENT_TABLES], keys[COPY_KEYS];
    uint32_t events_count[EVENT_TABLES], keys_count[COPY_KEYS];
    char insert_sql[EVENT_TABLES][COPY_SQL_MAX];
    char *texts; /* COPY_TEXTS_MAX: of a row, where they had to be changed */
    size_t texts_len;
};

enum { COPY_TEXTS_MAX = 4 * 1024 * 1024 };

/* Makes the statements. */
enum err copy_rows_begin(struct pg_copy *copy);

/* Adds a row of the source to the part, and its keys. */
enum err copy_row(void *arg, const struct merge_table *table);

void copy_part_reset(struct pg_copy *copy);
void copy_part_send(struct pg_copy *copy);
