#pragma once

#include "base/err.h"
#include "ledger/ledger.h"

#include <stdint.h>

/* The thread that has old rows removed, some at a time, by ops like any other: so the one
 * connection that writes removes them, in batches that are written anyway. */

struct retention;

enum err retention_start(struct retention **out, struct ledger *ledger, int64_t keep_ms);
void retention_stop(struct retention *retention); /* before the ledger's */
