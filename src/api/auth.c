#include "api/auth.h"

#include "api/address.h"
#include "api/answer.h"
#include "base/clock.h"

struct span auth_bearer(struct span authorization)
{
    struct span rest = span_trim(authorization);
    struct span scheme = span_split(&rest, ' ');
    struct span secret = span_trim(rest);
    return span_eq_nocase(scheme, SPAN("bearer")) && secret.len > 0 ? secret : SPAN_NONE;
}

static struct keyring_memo *memo_of(const struct http_request *http)
{
    return &((struct api_request *)http->user)->memo;
}

/* The reason to refuse, or REJECT_COUNT and the key. */
static enum reject find_key(const struct api_key **key, const struct http_request *http,
                            struct keyring *keyring, enum auth auth, int64_t now_ms)
{
    struct span value = SPAN_NONE;
    size_t count = http_request_header(http, SPAN("authorization"), &value);
    struct span secret = auth_bearer(value);
    if (count == 0 || (count == 1 && !secret.ptr)) return REJECT_BEARER_MISSING;
    /* Two of them: which one the proxies in between looked at is anybody's guess. */
    if (count > 1) return REJECT_KEY_INVALID;
    enum apikey_class cls = auth == AUTH_PARTNER ? APIKEY_PARTNER : APIKEY_ADSERVER;
    *key = keyring_find(keyring, memo_of(http), secret, cls, now_ms);
    return *key ? REJECT_COUNT : REJECT_KEY_INVALID;
}

/* X-API-Key, for the page that a publisher's own browsers call. */
static enum reject find_publisher_key(const struct api_key **key, const struct http_request *http,
                                      struct keyring *keyring, int64_t now_ms)
{
    struct span value = SPAN_NONE;
    size_t count = http_request_header(http, SPAN("x-api-key"), &value);
    *key =
        count == 1 ? keyring_find(keyring, memo_of(http), value, APIKEY_PUBLISHER, now_ms) : NULL;
    return *key ? REJECT_COUNT : REJECT_KEY_INVALID;
}

static bool take_allowance(struct api_request *request, struct limiter *limiter, struct span name)
{
    if (!limiter) return true;
    int64_t wait_ms = limiter_take(limiter, name, clock_mono_us());
    if (wait_ms > 0) answer_rate_limited(request, wait_ms);
    return wait_ms <= 0;
}

static bool admit_client(struct api_request *request)
{
    const struct api_settings *settings = &request->loop->settings;
    if (!settings->client_limiter) return true;
    struct in6_addr address;
    struct span name = {(const char *)&address, 0};
    if (address_of_client(&address, request->http, &settings->options))
        name.len = address_network_size(&address);
    return take_allowance(request, settings->client_limiter, name);
}

static bool admit_key(struct api_request *request)
{
    struct api *api = request->loop->api;
    enum auth auth = request->route->auth;
    enum reject reject =
        auth == AUTH_PUBLISHER
            ? find_publisher_key(&request->key, request->http, api->keyring, request->now_ms)
            : find_key(&request->key, request->http, api->keyring, auth, request->now_ms);
    if (reject != REJECT_COUNT) {
        answer_refusal(request, reject);
        return false;
    }
    keyring_note_use(request->key, request->now_ms);
    if (auth != AUTH_PARTNER) return true;
    return take_allowance(request, request->loop->settings.key_limiter, request->key->id);
}

bool auth_admit(struct api_request *request)
{
    switch (request->route->auth) {
    case AUTH_OPEN:
        return true;
    case AUTH_CLIENT:
        return admit_client(request);
    case AUTH_PARTNER:
    case AUTH_ADSERVER:
    case AUTH_PUBLISHER:
        return admit_key(request);
    }
    return false;
}

bool auth_key_is_valid(const struct http_request *http, struct api *api, enum auth auth)
{
    const struct api_key *key;
    return find_key(&key, http, api->keyring, auth, clock_wall_ms()) == REJECT_COUNT;
}
