#pragma once

#include "store/store.h"

/* The texts of all polls, shared by all threads: what minting shows and `adtally poll list` prints.
 * Filled and refreshed like the keyring. Votes are not in here: they come with an op's results. */

struct pollbook;

struct pollbook *pollbook_new(void);
void pollbook_free(struct pollbook *pollbook);

/* The ledger's: takes what the store has now. */
enum err pollbook_load(struct pollbook *pollbook, struct store *store);

/* A live poll, NULL when there is none of this id or it was withdrawn. What is returned stays in
 * place until the store is closed. */
const struct poll *pollbook_find(struct pollbook *pollbook, int64_t id);

/* Every poll, withdrawn ones too; under the pollbook's lock, so `on_poll` must be brief. */
void pollbook_each(struct pollbook *pollbook, store_on_poll *on_poll, void *arg);
