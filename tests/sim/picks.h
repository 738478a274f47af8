#pragma once

#include "model.h"

/* What a request of one kind is about, picked from the dice out of what the model knows. */

/* Completes what has a kind. False: none of this kind comes to mind now. */
bool picks_fill(const struct model *model, struct ask *ask, int64_t now_ms);

/* Which of an ad's tokens such a request carries. */
enum token_use picks_token(enum ask_kind kind);
