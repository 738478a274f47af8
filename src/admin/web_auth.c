#include "admin/web_internal.h"
#include "admin/web_pages.h"
#include "api/address.h"
#include "api/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "event/query.h"
#include "token/hash.h"
#include "json/json.h"

/* The key of an administrator: as a Bearer token of programs, or once, to sign in, and then as a
 * cookie of browsers. */

#define COOKIE "adtally_session"

enum { TOKENS_MAX = 64 };

static struct keyring *keyring_of(const struct web_request *request)
{
    return ledger_keyring(request->admin->ledger);
}

static const struct api_key *find_key(struct web_request *request, struct keyring_memo *memo,
                                      struct span secret)
{
    return keyring_find(keyring_of(request), memo, secret, APIKEY_ADMIN, clock_wall_ms());
}

/* Of `Cookie: a=b; adtally_session=...`; absent: none, or two, of which one is somebody else's. */
static struct span find_cookie(const struct http_request *http)
{
    struct span rest = SPAN_NONE, found = SPAN_NONE;
    if (http_request_header(http, SPAN("cookie"), &rest) != 1) return SPAN_NONE;
    while (rest.ptr) {
        struct span value = span_trim(span_split(&rest, ';'));
        struct span name = span_split(&value, '=');
        if (!span_eq(name, SPAN(COOKIE)) || !value.ptr) continue;
        if (found.ptr) return SPAN_NONE;
        found = value;
    }
    return found;
}

static struct session *find_session(struct web_request *request)
{
    struct span token = find_cookie(request->http);
    if (!token.ptr) return NULL;
    return session_find(&request->web->sessions, token, clock_mono_ms());
}

void web_identify(struct web_request *request)
{
    struct span value = SPAN_NONE;
    size_t count = http_request_header(request->http, SPAN("authorization"), &value);
    request->key = NULL;
    request->session_serial = 0;
    if (count > 0) { /* who names a key is asked for no cookie */
        struct span secret = count == 1 ? auth_bearer(value) : SPAN_NONE;
        if (secret.ptr) request->key = find_key(request, &request->memo, secret);
        return;
    }
    const struct session *session = find_session(request);
    if (!session || !web_is_valid(request->web, session->key, session->serial)) return;
    request->key = session->key;
    request->session_serial = session->serial;
}

bool web_is_valid(struct admin_web *web, const struct api_key *key, uint64_t session_serial)
{
    return keyring_is_valid(ledger_keyring(web->admin->ledger), key, APIKEY_ADMIN,
                            clock_wall_ms()) &&
           (!session_serial || session_of_serial(&web->sessions, session_serial, clock_mono_ms()));
}

/* Origin is "null" or scheme://host; a program sends none. */
bool web_is_cross_site(const struct http_request *http)
{
    struct span origin = SPAN_NONE;
    size_t count = http_request_header(http, SPAN("origin"), &origin);
    if (count == 0) return false;
    for (size_t i = 0; i + 2 < origin.len; i++)
        if (memcmp(origin.ptr + i, "://", 3) == 0)
            return count > 1 ||
                   !span_eq_nocase((struct span){origin.ptr + i + 3, origin.len - i - 3},
                                   http->host);
    return true;
}

static void log_refusal(const struct web_request *request)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    struct span client = SPAN("local");
    if (api_client_of(request->admin->api, &address, request->http))
        client = address_write(text, &address, true);
    log_event_bounded(
        LOG_WARN, "admin_key_refused", LOG_TEXT("client", client),
        LOG_TEXT("advice", SPAN("see who it is; adtally key create --class admin makes a key")));
}

/* Milliseconds that a client which failed too often has to wait for its next answer. A right key
 * is never kept waiting: it is too long to be guessed, what is bounded is the work and the log.
 * Behind a trusted proxy the client is whom it names: its failures are its own. */
static int64_t take_failure(struct web_request *request)
{
    struct in6_addr address = {0};
    (void)api_client_of(request->admin->api, &address, request->http);
    struct span name = {(const char *)&address, address_network_size(&address)};
    return limiter_take(request->web->failures, name, clock_mono_us());
}

static void refuse_for_now(struct web_request *request, int64_t wait_ms)
{
    char line[96];
    struct writer out;
    writer_init(&out, line, sizeof line);
    writer_lit(&out, "Cache-Control: no-store\r\nRetry-After: ");
    writer_i64(&out, (wait_ms + 999) / 1000);
    writer_lit(&out, "\r\n");
    web_answer(request, &(struct web_answer){.status = 429,
                                             .content_type = WEB_JSON,
                                             .header_lines = writer_text(&out),
                                             .body = SPAN("{\"detail\":\"Too many attempts\"}"),
                                             .body_is_static = true,
                                             .reason = "rate_limited"});
}

static bool names_a_key(const struct web_request *request)
{
    return http_request_header(request->http, SPAN("authorization"), NULL) > 0 ||
           request->http->method == HTTP_POST;
}

void web_refuse_key(struct web_request *request)
{
    struct web_answer answer = {.status = 401,
                                .content_type = WEB_JSON,
                                .header_lines = SPAN("Cache-Control: no-store\r\n"
                                                     "WWW-Authenticate: Bearer\r\n"),
                                .body = SPAN("{\"detail\":\"Missing admin key\"}"),
                                .body_is_static = true,
                                .reason = "key_missing"};
    if (names_a_key(request)) {
        int64_t wait_ms = take_failure(request);
        if (wait_ms > 0) {
            refuse_for_now(request, wait_ms);
            return;
        }
        log_refusal(request);
        answer.body = SPAN("{\"detail\":\"Invalid admin key\"}");
        answer.reason = "key_invalid";
    }
    web_answer(request, &answer);
}

/* {"key":"..."} */
static struct span key_of_json(const struct http_request *http)
{
    struct json_token tokens[TOKENS_MAX];
    struct json_doc doc;
    uint64_t seed;
    rng_fill(&seed, sizeof seed);
    if (json_parse(&doc, http->body, tokens, TOKENS_MAX, seed)) return SPAN_NONE;
    return json_string(&doc, json_member(&doc, 0, SPAN("key")), http->arena);
}

/* key=..., of a form without a script */
static struct span key_of_form(const struct http_request *http)
{
    struct span raw;
    struct writer out;
    if (query_find(http->body, SPAN("key"), &raw) != QUERY_ONCE) return SPAN_NONE;
    writer_init(&out, arena_alloc(http->arena, raw.len + 1), raw.len + 1);
    return query_decode(&out, raw) ? writer_text(&out) : SPAN_NONE;
}

static bool is_form(const struct http_request *http)
{
    struct span type = SPAN_NONE;
    http_request_header(http, SPAN("content-type"), &type);
    return span_eq_nocase(span_trim(span_split(&type, ';')),
                          SPAN("application/x-www-form-urlencoded"));
}

/* A form goes on to the dashboard, a script decides itself. */
static void answer_cookie(struct web_request *request, struct span token, int64_t age_s)
{
    char lines[320];
    struct writer out;
    bool goes_on = is_form(request->http);
    writer_init(&out, lines, sizeof lines);
    writer_lit(&out, "Set-Cookie: " COOKIE "=");
    writer_put(&out, token);
    writer_lit(&out, "; HttpOnly; SameSite=Strict; Path=/; Max-Age=");
    writer_i64(&out, age_s);
    if (api_is_https(request->admin->api, request->http)) writer_lit(&out, "; Secure");
    writer_lit(&out, "\r\nCache-Control: no-store\r\n");
    if (goes_on) writer_lit(&out, "Location: /\r\n");
    web_answer(request, &(struct web_answer){.status = goes_on ? 303 : 204,
                                             .header_lines = writer_text(&out)});
}

void session_handle(struct web_request *request)
{
    struct keyring_memo memo = {0};
    char token[SESSION_TOKEN_LEN];
    struct span secret =
        is_form(request->http) ? key_of_form(request->http) : key_of_json(request->http);
    const struct api_key *key = secret.ptr ? find_key(request, &memo, secret) : NULL;
    hash_wipe(&memo, sizeof memo);
    if (!key) {
        web_refuse_key(request);
        return;
    }
    session_start(&request->web->sessions, key, clock_mono_ms(), token);
    answer_cookie(request, (struct span){token, sizeof token}, SESSION_LIFE_MS / 1000);
    hash_wipe(token, sizeof token);
}

void session_end_handle(struct web_request *request)
{
    struct session *session = find_session(request);
    if (session) session_end(session);
    answer_cookie(request, SPAN(""), 0);
}
