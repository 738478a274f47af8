#pragma once

#include "api/dialect.h"
#include "http/http.h"

#include <stdint.h>

/* Which request is whose: one row per path. */

struct api_request;

enum auth {
    AUTH_OPEN,      /* anybody, as often as they like */
    AUTH_CLIENT,    /* anybody, within client_rate_limit */
    AUTH_PARTNER,   /* Bearer key of class partner, within rate_limit */
    AUTH_ADSERVER,  /* Bearer key of class adserver */
    AUTH_PUBLISHER, /* X-API-Key of class publisher */
};

struct route {
    struct span path;
    enum http_method method; /* HTTP_GET: HEAD as well */
    enum dialect dialect;
    enum auth auth;
    uint32_t body_max;
    bool is_cors; /* called from browsers: preflight, and the origin header on every answer */
    void (*handle)(struct api_request *request);    /* answers, or submits */
    void (*on_answer)(struct api_request *request); /* request->op has its outcome */
};

bool route_takes(const struct route *route, enum http_method method);

/* For Allow and preflight: "POST". */
struct span route_methods(const struct route *route);

/* NULL: no such path. The dialect of that answer is DIALECT_DETAIL. */
const struct route *route_find(struct span path);

/* The table by row, for what is made of it or held against it; NULL past its end. */
const struct route *route_at(size_t row);
/* Its place in struct api_stats; of NULL as well. */
size_t route_number(const struct route *route);

extern const struct http_handler route_handler; /* its owner is a struct api_loop */
