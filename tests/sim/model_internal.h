#pragma once

#include "model.h"

/* Shared by the files of the model: admit.c (before the ledger), model.c and commands.c (in it),
 * check.c (what came back). */

/* The error dialects. */
#define DETAIL(text) "{\"detail\":\"" text "\"}"
#define FLAT(code, text) "{\"error\":\"" code "\",\"message\":\"" text "\"}"
#define POLL(code, text) "{\"error\":{\"code\":\"" code "\",\"message\":\"" text "\"}}"

#define POLL_TOKEN_INVALID POLL("invalid_token", "Token is not valid for this poll.")
#define OPTION_INVALID POLL("invalid_option", "Option id is not valid for this poll.")

bool is_poll(const struct ask *ask);
bool is_redirect(const struct ask *ask);
bool is_command(const struct ask *ask);

void expect_nothing(struct expected *expected);
void expect(struct expected *expected, int status, const char *body); /* NULL: any */
void expect_limited(struct expected *expected, const char *body, int64_t wait_ms);
void expect_landing(struct expected *expected, int ad); /* a redirect with nothing added */

/* Whether a time has come that an answer hangs on. */
bool has_passed(struct model *model, int64_t now_ms, int64_t end_ms);

bool poll_is_live(const struct model *model, int poll);

/* commands.c: of the kinds that is_command() names. */
void decide_command(struct model *model, const struct ask *ask, struct expected *expected);
