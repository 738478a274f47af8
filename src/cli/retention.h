#pragma once

#include "base/err.h"
#include "ledger/ledger.h"

#include <stdint.h>

/* The thread that has old rows removed, some at a time, by ops like any other: so the one
 * connection that writes removes them, in batches that are written anyway. */

struct retention;

/* How long is kept of each kind; RETAIN_FOR_EVER is one of them. */
enum err retention_start(struct retention **out, struct ledger *ledger,
                         const int64_t keep_ms[EVENT_TABLES]);
void retention_stop(struct retention *retention); /* before the ledger's */
