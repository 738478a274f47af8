#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A database of its own for each case, where ADTALLY_TEST_POSTGRES names a server: an URL, or
 * parameters, of libpq that may create databases. Its clock is the test's: `clock_timestamp()` of
 * its schema stands before PostgreSQL's own. */

enum { DATABASE_URL_MAX = 512 };

struct database;

bool database_is_wanted(void); /* false: cases run over SQLite */

struct database *database_new(int64_t now_ms);
void database_free(struct database *database); /* NULL: nothing */
const char *database_url(const struct database *database);
void database_set_clock(struct database *database, int64_t now_ms);

/* Every write fails as on a disk that is full, until it does no more. */
void database_refuse_writes(struct database *database, bool is_refused);

/* Runs a statement; the number that it answers, 0 without one. */
int64_t database_ask(struct database *database, const char *sql);

/* How many rows contradict each other: keys without events, events without keys, votes. */
uint64_t database_findings(struct database *database);
