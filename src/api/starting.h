#pragma once

#include "http/http.h"

/* What is answered while the store is being opened: /health says so, everything else is the 503 of
 * its route's dialect, with Retry-After. Needs no owner. */
extern const struct http_handler api_starting_handler;
