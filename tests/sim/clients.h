#pragma once

#include "model.h"
#include "words.h"

/* The outside world: everybody who sends requests, picked from the dice. They know what they were
 * told (tokens, click ids, secrets), try again with the same keys, and come back just when
 * something expires. */

/* For one seed: what these clients like to do is rolled as well. */
void clients_begin(bool clock_goes_back);

/* The next request. False: none comes to mind now. */
bool clients_ask(const struct model *model, struct ask *out);

/* They send many of one kind: what a failure does to a count shows best now. */
bool clients_are_at_a_cap(void);

/* What it looks like on the wire. */
void clients_write(const struct model *model, const struct ask *ask, struct words_request *out);

/* An ad was minted: its tokens. False: the answer has none. */
bool clients_learn_ad(struct model *model, const struct ask *ask, const char *body, int64_t end_ms);

/* Another minter with the same key makes new tokens of this ad: a click token without a bid, and
 * all of them ending later than minting here allows. */
void clients_mint_elsewhere(struct model *model, int index);

/* How long until the next request, or until something expires, which the next requests are about.
 */
int64_t clients_pause_ms(const struct model *model, int64_t now_ms);
