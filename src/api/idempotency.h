#pragma once

#include "api/problems.h"

/* Idempotency-Key (contract section 5; draft-ietf-httpapi-idempotency-key-header). */

enum idempotency { IDEMPOTENCY_ABSENT, IDEMPOTENCY_KEY, IDEMPOTENCY_TOO_LONG, IDEMPOTENCY_INVALID };

/* The key a header value means: 1..LIMIT_IDEMPOTENCY_KEY visible ASCII characters, or an RFC 8941
 * string of such (section 3.3.3), which means its content. Blank is absent. A content with
 * backslashes is made in the arena. */
enum idempotency idempotency_parse(struct span *key, struct span value, struct arena *arena);

/* The problem of a header that is not as above, or is there twice. */
void idempotency_problem(struct problems *problems, enum idempotency found);
