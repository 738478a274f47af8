#pragma once

#include "ledger/keyring.h"
#include "ledger/limiter.h"
#include "store/store.h"

/* One rate for each partner key on several nodes: once a second a node writes down what it let
 * through of each key, and takes what the others let through off its own allowance. A node learns
 * of it a second late, so until then each may let a second's worth through; what was too much is
 * taken off afterwards. Of the ledger's first lane. */

struct use_share;

struct use_share *use_share_new(void);
void use_share_free(struct use_share *share);

/* When it is time to. What cannot be written now is added to the next time's. */
void use_share_turn(struct use_share *share, struct limiter *limiter, struct keyring *keyring,
                    struct store *store, int64_t now_mono_us);
