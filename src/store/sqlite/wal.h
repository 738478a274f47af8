#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* SQLite reads a WAL up to the first frame that does not fit its checksum and takes the rest for a
 * write that a power cut tore. After damage in the middle the rest are transactions that were
 * acknowledged, and SQLite would drop them without a word. This tells the two apart:
 *
 *   Each transaction is synced before the next one is written, in the place of those that failed.
 *   So what a power cut or a failure can leave of one is at most one commit frame, and no page
 * twice. More than that behind the break, in frames that follow each other by their checksums, was
 *   synced before.
 *
 * A damaged header hides all frames. They are harmless if the database already has what they say,
 * as it does when a power cut tears the header of a WAL that starts over.
 *
 * Not seen: damage within the last transaction, which looks like a torn one. */

struct wal_damage {
    bool is_found;
    uint32_t frame; /* the first that is lost, from 1; 0: the header */
    uint32_t salt;  /* of the WAL that it is in: it changes when the WAL starts over */
};

/* Reads the WAL beside `db_path`; none is fine. Nobody may write it meanwhile, or a finding has to
 * be found again to be believed. Errors as of db_err. */
enum err wal_check(const char *db_path, struct wal_damage *damage);
