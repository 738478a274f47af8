#pragma once

#include "api/request.h"
#include "event/query.h"
#include "event/record.h"
#include "token/claims.h"

/* The tokens of an ad that come back in URLs and bodies (contract section 4). */

/* The decoded parameter of a query. `*token` is empty when it is absent, repeated or badly encoded:
 * no token is. */
enum query_found ad_token_find(struct span *token, struct span query, struct span parameter,
                               struct arena *arena);

/* False: not authentic for this purpose, whatever the reason. Whether it has expired is the
 * caller's to see. Claims live in the request's arena. */
bool ad_token_open(struct claims *claims, const struct api_request *request, struct span token,
                   enum purpose purpose);

/* Both: the token in a parameter of the request, which has to be there once. */
bool ad_token_of_query(struct claims *claims, const struct api_request *request,
                       struct span parameter, enum purpose purpose);

/* What the row of an event carries along of its ad. */
struct ad_facts ad_token_facts(const struct claims *claims);
