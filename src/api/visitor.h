#pragma once

#include "api/request.h"

/* The one who looked or clicked, as it is stored with impressions and clicks (contract section 2).
 * The address points into the request. A user agent that is longer than LIMIT_USER_AGENT or no
 * UTF-8 is left out. */
struct visitor visitor_of(struct api_request *request);

/* The same with his key, for a click on this campaign. */
struct visitor visitor_who_clicks(struct api_request *request, struct span campaign);

/* `Sec-Purpose: prefetch`: gets its answer and records nothing. */
bool visitor_is_prefetch(const struct http_request *http);
