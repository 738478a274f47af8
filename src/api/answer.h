#pragma once

#include "api/request.h"

/* The ways to answer a request. Each ends it: nothing of it may be read afterwards. */

/* `body` is static or in the request's arena. `header_lines` are copied. */
void answer_json(struct api_request *request, int status, struct span header_lines,
                 struct span body);

/* 503 of /health: `body` says why in its dialect, `reason` in the log's. */
void answer_not_ready(struct api_request *request, const char *reason, struct span body);

void answer_text(struct api_request *request, struct span body); /* static */

/* Neither body nor type. */
void answer_empty(struct api_request *request, int status);

/* To OPTIONS on a route that browsers call. */
void answer_preflight(struct api_request *request);

/* The 43 bytes of a transparent pixel, never to be stored. */
void answer_gif(struct api_request *request);

/* With the receipt of request->op.sequence. An absent body: none, and no type. */
void answer_receipt(struct api_request *request, int status, struct span body);

/* To `location`, never to be stored. */
void answer_redirect(struct api_request *request, struct span location);

/* The refusal as the dialect of the request's route has it. */
void answer_refusal(struct api_request *request, enum reject reject);
void answer_rate_limited(struct api_request *request, int64_t wait_ms);

/* The refusal that lists what is wrong. */
void answer_problems(struct api_request *request, int status, const struct problems *problems);
