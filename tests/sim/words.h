#pragma once

#include "ask.h"

#include "base/span.h"

#include <stddef.h>

/* How the numbers of an ask are spelled, in requests, answers and rows alike. */

enum { WORDS_TARGET_MAX = 2048, WORDS_BODY_MAX = 4096, TOKEN_TEXT = 1024 };

/* What a client holds besides numbers. */
struct words_texts {
    const char *bid;      /* of ask->ad */
    const char *token;    /* of ask->ad, whole or garbled */
    const char *click_id; /* of ask->click */
    char garbled[TOKEN_TEXT];
};

struct words_request {
    bool is_post;
    char target[WORDS_TARGET_MAX];
    char body[WORDS_BODY_MAX]; /* "": none */
    char authorization[80], api_key[64], idempotency_key[16];
};

/* What fits of a text. */
void words_copy(char *out, size_t size, const char *text);

/* "e7", or `absent` for 0. */
const char *words_spell(char *out, size_t size, const char *name, int number, const char *absent);

/* The same for an op: "partner7" in `out`, or SPAN_NONE for 0. */
struct span words_name(char out[24], const char *name, int number);

const char *words_kind(enum ask_kind kind); /* for traces */

void words_write(struct words_request *out, const struct ask *ask, const struct words_texts *texts);

/* The secret of a key: what its holder sends. */
void words_secret(char *out, size_t size, int key);

/* The id of a click of elsewhere. */
void words_import(char id[UUID_TEXT], int import);

void words_landing(char *out, size_t size, int ad);
void words_clicked(char *out, size_t size, const struct ask *ask, const char *bid, const char *id,
                   int64_t end_s, const char *signed_like);
void words_results(char *out, size_t size, int poll, uint32_t options, int text, int selected,
                   const uint32_t votes[OPTIONS_MAX + 1]);

/* What answers carry. False: not there. */
bool words_read_click(char id[UUID_TEXT], const char *location);
bool words_read_feedback(char id[UUID_TEXT], const char *body);
bool words_read_member(char *out, size_t size, const char *body, const char *before);
