#include "api/dialect.h"

#include "base/assert.h"

#define DETAIL(text) [DIALECT_DETAIL] = SPAN_INIT("{\"detail\":\"" text "\"}")
#define FLAT(code, text)                                                                           \
    [DIALECT_AD_FEEDBACK] = SPAN_INIT("{\"error\":\"" code "\",\"message\":\"" text "\"}")
#define NESTED(code, text)                                                                         \
    [DIALECT_POLL] = SPAN_INIT("{\"error\":{\"code\":\"" code "\",\"message\":\"" text "\"}}")
#define ALL(code, text) DETAIL(text), FLAT(code, text), NESTED(code, text)

/* clang-format off */
static const struct reject_row rows[] = {
    [REJECT_NOT_FOUND]         = {404, "not_found",         {DETAIL("Not Found")}},
    [REJECT_METHOD]            = {405, "method",
                                  {ALL("method_not_allowed", "Method Not Allowed")}},
    [REJECT_BEARER_MISSING]    = {401, "bearer_missing",    {DETAIL("Missing bearer token")}},
    [REJECT_KEY_INVALID]       = {401, "key_invalid",       {DETAIL("Invalid API key"),
                                   FLAT("unauthorized", "Invalid API key")}},
    [REJECT_RATE_LIMITED]      = {429, "rate_limited",
                                  {ALL("rate_limited", "Rate limit exceeded")}},
    [REJECT_TOO_LARGE]         = {413, "too_large",
                                  {ALL("payload_too_large", "Request body too large")}},
    [REJECT_VALIDATION]        = {422, "validation",        {DETAIL("Validation error")}},
    [REJECT_CLICK_NOT_FOUND]   = {404, "click_not_found",   {DETAIL("Click not found")}},
    [REJECT_CLICK_WITHOUT_BID] = {400, "click_without_bid", {DETAIL("Click missing bid id")}},
    [REJECT_UNAVAILABLE]       = {503, "unavailable",       {DETAIL("Service unavailable"),
                                   FLAT("unavailable", "Service unavailable, safe to retry")}},
    [REJECT_SERVER_ERROR]      = {500, "server_error",      {DETAIL("Internal Server Error"),
                                   NESTED("server_error", "Tracking service failed.")}},
    [REJECT_IMPRESSION_NOT_FOUND] = {404, "impression_not_found",
                                  {DETAIL("Impression not found")}},
    [REJECT_IMP_URL]           = {422, "invalid_imp_url",
                                  {FLAT("invalid_imp_url", "impUrl could not be decrypted")}},
    [REJECT_TOKEN_MISSING]     = {400, "token_missing",
                                  {NESTED("missing_token", "No signed token was provided.")}},
    [REJECT_TOKEN_INVALID]     = {401, "token_invalid",
                                  {NESTED("invalid_token", "Token is not valid for this poll.")}},
    [REJECT_OPTION]            = {400, "option",
                                  {NESTED("invalid_option",
                                          "Option id is not valid for this poll.")}},
    [REJECT_SECOND_VOTE]       = {409, "second_vote",
                                  {NESTED("duplicate_vote",
                                          "A vote was already recorded for this bid.")}},
};
/* clang-format on */

_Static_assert(sizeof rows / sizeof rows[0] == REJECT_COUNT, "a row per reason");

const struct reject_row *reject_row(enum reject reject)
{
    ASSERT(reject < REJECT_COUNT);
    return &rows[reject];
}
