#include "api_fakes.h"

#include "token/hash.h"
#include "json/json.h"

#include <arpa/inet.h>
#include <string.h>

struct fake fake;

const struct api_key fake_partner = {.id = SPAN_INIT("p00000000001"),
                                     .cls = APIKEY_PARTNER,
                                     .label = SPAN_INIT("main"),
                                     .partner_id = SPAN_INIT("acme"),
                                     .tag_id = SPAN_INIT("tag-7")};
const struct api_key fake_adserver = {
    .id = SPAN_INIT("a00000000001"), .cls = APIKEY_ADSERVER, .label = SPAN_INIT("ads")};

const struct api_key fake_publisher = {.id = SPAN_INIT("u00000000001"),
                                       .cls = APIKEY_PUBLISHER,
                                       .label = SPAN_INIT("app"),
                                       .publisher_id = SPAN_INIT("pub")};

static const struct token_key token_key = {.kid = {'k', 'i', 'd', '0', '0', '0', '0', '1'}};
static const uint8_t receipt_key[RECEIPT_KEY_SIZE];

size_t http_request_header(const struct http_request *request, struct span name, struct span *value)
{
    size_t count = 0;
    for (size_t i = 0; i < request->headers_count; i++)
        if (span_eq_nocase(request->headers[i].name, name) && count++ == 0)
            *value = request->headers[i].value;
    return count;
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    assert_ptr_equal(request, &fake.request);
    fake.answers_count++;
    fake.status = response->status;
    assert_true(response->header_lines.len < sizeof fake.lines);
    if (response->header_lines.len)
        memcpy(fake.lines, response->header_lines.ptr, response->header_lines.len);
    fake.lines[response->header_lines.len] = '\0';
    fake.body_len = response->body.len;
    size_t kept = response->body.len < sizeof fake.body ? response->body.len : sizeof fake.body - 1;
    if (kept) memcpy(fake.body, response->body.ptr, kept);
    fake.body[kept] = '\0';
}

bool ledger_submit(struct ledger *ledger, struct ledger_port *port, struct op *op)
{
    fake.op = *op;
    if (fake.outcome == OUTCOME_PENDING) return false;
    fake.submitted = op;
    return true;
}

struct keyring *ledger_keyring(struct ledger *ledger)
{
    return (struct keyring *)ledger;
}

struct pollbook *ledger_pollbook(struct ledger *ledger)
{
    return (struct pollbook *)ledger;
}

const struct poll *pollbook_find(struct pollbook *pollbook, int64_t id)
{
    return fake.poll.options_count && fake.poll.id == id ? &fake.poll : NULL;
}

bool ledger_share_uses(struct ledger *ledger, struct limiter *limiter)
{
    return true;
}

bool ledger_is_healthy(struct ledger *ledger)
{
    return fake.outcome != OUTCOME_UNAVAILABLE;
}

struct op *ledger_take_answered(struct ledger_port *port)
{
    return NULL;
}

void ledger_port_init(struct ledger_port *port, void (*wake)(void *arg), void *wake_arg) {}

void ledger_port_fini(struct ledger_port *port) {}

enum err ev_wake_open(struct ev_loop *loop, struct ev_wake *wake,
                      void (*on_ring)(struct ev_wake *wake))
{
    return ERR_OK;
}

void ev_wake_close(struct ev_loop *loop, struct ev_wake *wake) {}

void ev_wake_ring(struct ev_wake *wake) {}

const struct api_key *keyring_find(struct keyring *keyring, struct keyring_memo *memo,
                                   struct span secret, enum apikey_class cls, int64_t now_ms)
{
    const struct api_key *key = cls == APIKEY_PARTNER     ? &fake_partner
                                : cls == APIKEY_PUBLISHER ? &fake_publisher
                                                          : &fake_adserver;
    return span_eq(secret, key->label) ? key : NULL;
}

void keyring_note_use(const struct api_key *key, int64_t now_ms) {}

void keyring_minting_key(struct keyring *keyring, struct token_key *out)
{
    *out = token_key;
}

bool keyring_token_key(struct keyring *keyring, struct span kid, struct token_key *out)
{
    *out = token_key;
    return span_eq(kid, (struct span){token_key.kid, sizeof token_key.kid});
}

const uint8_t *keyring_receipt_key(const struct keyring *keyring)
{
    return receipt_key;
}

const struct hash_hmac_key *keyring_click_hmac_key(const struct keyring *keyring)
{
    static struct hash_hmac_key key;
    hash_hmac_prepare(&key, SPAN("signing"));
    return &key;
}

static void *memory_of(size_t size)
{
    void *memory = aligned_alloc(16, size);
    assert_non_null(memory);
    return memory;
}

static void start_once(void)
{
    enum { TOKENS = 1 << 16, ARENA = 192 * 1024, LARGE_ARENA = 16 << 20 };
    if (fake.api) return;
    assert_true(hash_start());
    struct api_options options;
    api_options_init(&options);
    fake.api = api_new(&options, (struct ledger *)&fake);
    fake.loop = (struct api_loop){.api = fake.api,
                                  .tokens = memory_of(TOKENS * sizeof(struct json_token)),
                                  .tokens_cap = TOKENS,
                                  .json_seed = 7,
                                  .metrics = api_metrics_join(fake.api)};
    api_loop_adopt(&fake.loop);
    arena_init(&fake.arena, memory_of(ARENA), ARENA);
    arena_init(&fake.large_arena, memory_of(LARGE_ARENA), LARGE_ARENA);
}

void fake_reset(enum http_method method, const char *target)
{
    start_once();
    arena_reset(&fake.arena);
    arena_reset(&fake.large_arena);
    memset(&fake.op, 0, sizeof fake.op);
    memset(&fake.user, 0, sizeof fake.user);
    fake.submitted = NULL;
    fake.answers_count = 0;
    fake.outcome = OUTCOME_RECORDED;
    struct span query = span_of(target);
    fake.request = (struct http_request){.method = method,
                                         .target = span_of(target),
                                         .path = span_split(&query, '?'),
                                         .host = SPAN("ads.example:8080"),
                                         .headers = fake.headers,
                                         .arena = &fake.arena,
                                         .user = &fake.user};
    fake.request.query = query;
    if (span_eq(fake.request.path, SPAN("/v1/mint"))) fake.request.arena = &fake.large_arena;
    struct sockaddr_in *peer = (struct sockaddr_in *)&fake.request.peer;
    peer->sin_family = AF_INET;
    peer->sin_addr.s_addr = htonl(0xcb00714d); /* 203.0.113.77 */
}

void fake_header(const char *name, const char *value)
{
    fake.headers[fake.request.headers_count++] =
        (struct http_header){span_of(name), span_of(value)};
}

void fake_run(const char *body)
{
    fake_run_text(body ? span_of(body) : SPAN(""));
}

void fake_run_text(struct span body)
{
    fake.request.body = body;
    fake.request.has_body = body.len > 0;
    route_handler.on_request(&fake.request, &fake.loop);
    if (!fake.submitted) return;
    assert_int_equal(fake.answers_count, 0);
    fake.submitted->outcome = fake.outcome;
    fake.submitted->sequence = 42;
    if (fake.op.kind == OP_VOTE || fake.op.kind == OP_POLL_RESULTS)
        fake.submitted->vote.results = (struct poll_results){&fake.poll, {1, 2}};
    api_take_answer(&fake.user);
}
