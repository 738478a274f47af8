#include "api/dialect.h"

#include "base/assert.h"

#define DETAIL(text) [DIALECT_DETAIL] = SPAN_INIT("{\"detail\":\"" text "\"}")

/* clang-format off */
static const struct reject_row rows[] = {
    [REJECT_NOT_FOUND]         = {404, "not_found",         {DETAIL("Not Found")}},
    [REJECT_METHOD]            = {405, "method",            {DETAIL("Method Not Allowed")}},
    [REJECT_BEARER_MISSING]    = {401, "bearer_missing",    {DETAIL("Missing bearer token")}},
    [REJECT_KEY_INVALID]       = {401, "key_invalid",       {DETAIL("Invalid API key")}},
    [REJECT_RATE_LIMITED]      = {429, "rate_limited",      {DETAIL("Rate limit exceeded")}},
    [REJECT_TOO_LARGE]         = {413, "too_large",         {DETAIL("Request body too large")}},
    [REJECT_VALIDATION]        = {422, "validation",        {DETAIL("Validation error")}},
    [REJECT_CLICK_NOT_FOUND]   = {404, "click_not_found",   {DETAIL("Click not found")}},
    [REJECT_CLICK_WITHOUT_BID] = {400, "click_without_bid", {DETAIL("Click missing bid id")}},
    [REJECT_UNAVAILABLE]       = {503, "unavailable",       {DETAIL("Service unavailable")}},
};
/* clang-format on */

_Static_assert(sizeof rows / sizeof rows[0] == REJECT_COUNT, "a row per reason");

const struct reject_row *reject_row(enum reject reject)
{
    ASSERT(reject < REJECT_COUNT);
    return &rows[reject];
}
