#pragma once

#include "store/copy.h"
#include "store/postgres/batch.h"

/* An empty database as what `adtally copy` fills: copy_target.c has the steps, copy_rows.c what a
 * row becomes. */

enum copy_keys {
    COPY_CLICK_KEYS,
    COPY_CONVERSION_KEYS, /* behind those of clicks, which say how long they live */
    COPY_BID_KEYS,
    COPY_EVENT_KEYS,
    COPY_SESSION_KEYS,
    COPY_KEYS,
};

enum { COPY_SQL_MAX = 1024 };

struct pg_target {
    struct copy_target target; /* first: what the copy holds */
    char *problem;
    struct secrets *secrets; /* the source's */
    struct pg_connection connection;
    struct pg_params params;
    int64_t database_ms; /* the database's clock, when it began */

    /* One part of the sequences. */
    struct pg_params events[EVENT_TABLES], keys[COPY_KEYS];
    uint32_t events_count[EVENT_TABLES], keys_count[COPY_KEYS];
    char insert_sql[EVENT_TABLES][COPY_SQL_MAX];
    char *texts; /* COPY_TEXTS_MAX: of a row, where they had to be changed */
    size_t texts_len;

    /* One table of what is configured. */
    uint32_t rows_count;
};

enum { COPY_TEXTS_MAX = 4 * 1024 * 1024 };

static inline struct pg_target *pg_target_of(struct copy_target *target)
{
    return (struct pg_target *)(void *)target;
}

/* Makes the statements. */
enum pg_failure copy_rows_begin(struct pg_target *target);

/* Adds an event to the part, and its keys. `arg`: the struct copy_target. */
rows_on_event copy_put_event;

void copy_part_reset(struct pg_target *target);
void copy_part_send(struct pg_target *target);
