#pragma once

/* A listener without sockets and a ledger without a store: requests go in as structs, the op that
 * they become and the answer are kept to be looked at. */

#include "unit.h"

#include "api/request.h"

struct fake {
    struct http_request request;
    struct http_header headers[16];
    struct api_request user;
    struct arena arena, large_arena;

    uint32_t answers_count;
    int status;
    char lines[4096], body[1 << 16];
    size_t body_len;

    struct poll poll;     /* the only one; without options: none */
    enum outcome outcome; /* what the ledger says; OUTCOME_PENDING: its queue is full */
    struct op *submitted;
    struct op op; /* a copy of it */
    struct api *api;
    struct api_loop loop;
};

extern struct fake fake;

/* Between requests; the options stay. */
void fake_reset(enum http_method method, const char *target);
void fake_header(const char *name, const char *value);
void fake_run(const char *body); /* NULL: none */
void fake_run_text(struct span body);

/* Each with its label as its secret. */
extern const struct api_key fake_partner, fake_adserver, fake_publisher;
