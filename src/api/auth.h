#pragma once

#include "api/request.h"

/* Whether a request may be looked at: its key, then its rate (contract sections 2 and 3). When not,
 * it has been answered. */
bool auth_admit(struct api_request *request);

/* The same without taking from any allowance and without answering. */
bool auth_key_is_valid(const struct http_request *request, struct api *api, enum auth auth);

/* The key of an Authorization value: what follows `Bearer` in any case. Absent for another scheme,
 * or when nothing follows. */
struct span auth_bearer(struct span authorization);
