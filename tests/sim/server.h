#pragma once

#include "ask.h"
#include "words.h"

#include "base/err.h"
#include "store/store.h"

#include <stddef.h>

/* The server under test: the real store, ledger and api, in one thread. Requests go in as the http
 * module would hand them over, answers come out where it would write them to a socket. */

enum { SLOTS_MAX = 128 };

/* A request, from its arrival until the life it came in is over. */
struct slot;

struct server_options {
    const char *dir;
    int64_t click_ttl_ms, impression_ttl_ms, collect_window_ms;
    uint32_t rate_limit, client_rate_limit, queue_cap;
};

/* Opens the store and whatever is above it. On failure nothing is left open. */
enum err server_start(const struct server_options *options, char problem[STORE_PROBLEM_MAX]);
bool server_is_healthy(void);

/* The next request; NULL when all slots wait. It is answered at once (slot_is_answered), or waits
 * for a turn. `text` is the kid of a token key or the bid of an imported click. */
struct slot *server_request(const struct ask *ask, const struct words_request *words);
struct slot *server_command(const struct ask *ask, const char *key_id, const char *text);

bool slot_is_answered(const struct slot *slot);
const struct ask *slot_ask(const struct slot *slot);
const struct answer *slot_answer(const struct slot *slot);

/* What waits, in order; after a turn all of it was one batch. */
size_t server_waiting(struct slot *out[SLOTS_MAX]);

/* One turn of the ledger. Answers that it gave while the disk was up count, the others were never
 * sent. ERR_SYNC_FAILED: the process has to die. */
enum err server_turn(bool *batch_failed);

/* The answered slots may be used again. */
void server_sweep(void);

/* Answers what waits and closes everything, or drops everything: then nobody is answered. */
void server_stop(void);
void server_drop(void);

/* What can be seen from outside of the process that ran: the token keys' names, and the event that
 * a receipt stands for. */
uint32_t server_kids(char kids[][KID_TEXT], uint32_t max);
bool server_kid_of_token(char kid[KID_TEXT], const char *token);
uint64_t server_sequence_of(uint64_t receipt);

/* A token as any PASETO library would make it with the newest exported key. */
struct server_ad {
    int publisher, advertiser;
    int64_t end_ms;
    char bid[UUID_TEXT], url[LOCATION_TEXT]; /* bid "": none */
};
void server_mint_elsewhere(char token[TOKEN_TEXT], const struct server_ad *ad, enum token_use use);
