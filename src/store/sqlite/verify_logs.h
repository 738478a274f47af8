#pragma once

#include "base/err.h"
#include "base/writer.h"
#include "store/keys.h"

#include <sqlite3.h>
#include <stdint.h>

/* The logs of the indexes against the rows of `db`, which is in a transaction: `store_verify`'s
 * last part. A line of the report for each log that would mislead a start. */
enum err verify_logs(sqlite3 *db, int dir_fd, const struct secrets *secrets, struct writer *report,
                     uint64_t *findings);
