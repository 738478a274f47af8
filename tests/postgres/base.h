#pragma once

#include "unit.h"

#include "store/postgres/pg.h"
#include "store/postgres/result.h"

/* What the tests over a real PostgreSQL share. ADTALLY_TEST_POSTGRES is the URL of a database that
 * they may use, of a user that may make others (tests/support/postgres.py). */

enum { URL_MAX = 512 };

/* A database of its own for a test. */
void base_new_database(char url[URL_MAX]);

/* A store without its hot path: connected, migrated, with a lane. */
struct pg_store *base_open(const char *url);
void base_close(struct pg_store *store);
struct pg_store *base_new(const char *url); /* not connected */

/* Over a connection of their own, which must succeed. */
int64_t base_number(const char *url, const char *sql);
void base_run(const char *url, const char *sql);

/* Ends the backend of a store, as an administrator would. */
void base_terminate(const char *url, const struct pg_store *store);
