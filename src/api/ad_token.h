#pragma once

#include "api/request.h"
#include "event/record.h"
#include "token/claims.h"

/* The token of an ad that came back in a URL (contract section 4). False: the parameter is missing,
 * there twice, or its token is not authentic for this purpose; all alike. Whether it has expired is
 * the caller's to see. Claims live in the request's arena. */
bool ad_token_open(struct claims *claims, const struct api_request *request, struct span parameter,
                   enum purpose purpose);

/* What the row of an event carries along of its ad. */
struct ad_facts ad_token_facts(const struct claims *claims);
