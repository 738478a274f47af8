#include "server.h"

#include "order.h"
#include "sim_disk.h"

#include "api/api.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "ledger/ledger.h"
#include "token/base64url.h"
#include "token/claims.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS_MAX = 8, ARENA_SIZE = 96 * 1024 };

struct slot {
    struct http_request http; /* first: what the api answers */
    struct order order;
    bool is_used, is_answered;
    struct ask ask;
    struct answer answer;
    struct words_request words;
    struct http_header headers[HEADERS_MAX];
    struct arena arena;
    void *user;
};

static struct {
    struct ledger *ledger;
    struct api *api;
    struct api_loop *loop;
    struct http_options http;
    struct ev_wake *wake;
    struct ledger_port commands;
    bool rang, is_deaf;
    struct slot *slots[SLOTS_MAX]; /* in the order of arrival */
    size_t slots_count;
    struct slot all[SLOTS_MAX];
} server;

/* The api's ports ring here. A disk that is down has taken the machine with it: what is answered
 * from then on leaves it no more. */
enum err ev_wake_open(struct ev_loop *loop, struct ev_wake *wake,
                      void (*on_ring)(struct ev_wake *wake))
{
    wake->on_ring = on_ring;
    server.wake = wake;
    return ERR_OK;
}

void ev_wake_close(struct ev_loop *loop, struct ev_wake *wake)
{
    server.wake = NULL;
}

static void ring(void)
{
    server.rang = true;
    server.is_deaf = server.is_deaf || sim_disk_is_down();
}

void ev_wake_ring(struct ev_wake *wake)
{
    ring();
}

static void ring_for_commands(void *arg)
{
    ring();
}

static void read_header(struct answer *answer, struct span line)
{
    struct span value = line, name = span_split(&value, ':');
    char text[LOCATION_TEXT];
    value = span_trim(value);
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(value));
    if (span_eq_nocase(name, SPAN("retry-after"))) answer->retry_after_s = atoi(text);
    if (span_eq_nocase(name, SPAN("adtally-receipt"))) answer->receipt = strtoull(text, NULL, 16);
    if (span_eq_nocase(name, SPAN("location"))) memcpy(answer->location, text, sizeof text);
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    struct slot *slot = (struct slot *)request;
    struct answer *answer = &slot->answer;
    struct span lines = response->header_lines;
    ASSERT(slot->is_used && !slot->is_answered);
    if (server.is_deaf) return;
    slot->is_answered = true;
    answer->status = response->status;
    answer->retry_after_s = -1;
    answer->receipt = 0;
    answer->location[0] = '\0';
    while (lines.ptr && lines.len)
        read_header(answer, span_split(&lines, '\n'));
    snprintf(answer->body, sizeof answer->body, "%.*s", SPAN_FMT(response->body));
}

static struct slot *take_slot(const struct ask *ask)
{
    size_t i = 0;
    while (i < SLOTS_MAX && server.all[i].is_used)
        i++;
    if (i == SLOTS_MAX) return NULL;
    struct slot *slot = &server.all[i];
    slot->is_used = true;
    slot->is_answered = false;
    slot->ask = *ask;
    server.slots[server.slots_count++] = slot;
    return slot;
}

static void *memory_of(size_t size)
{
    void *memory = aligned_alloc(16, (size + 15) / 16 * 16);
    ASSERT(memory);
    return memory;
}

static void add_header(struct slot *slot, const char *name, const char *value)
{
    if (!value[0]) return;
    slot->headers[slot->http.headers_count++] = (struct http_header){span_of(name), span_of(value)};
}

static void fill_http(struct slot *slot)
{
    const struct ask *ask = &slot->ask;
    const struct words_request *words = &slot->words;
    struct span query = span_of(words->target);
    slot->http = (struct http_request){
        .method = words->is_post ? HTTP_POST
                  : ask->is_head ? HTTP_HEAD
                                 : HTTP_GET,
        .target = query,
        .path = span_split(&query, '?'),
        .host = SPAN("ads.example"),
        .headers = slot->headers,
        .body = span_of(words->body),
        .has_body = words->body[0] != '\0',
        .arena = &slot->arena,
        .user = slot->user,
    };
    slot->http.query = query;
    struct sockaddr_in *peer = (struct sockaddr_in *)&slot->http.peer;
    peer->sin_family = AF_INET;
    peer->sin_addr.s_addr = htonl(0xcb007100u + (uint32_t)ask->client); /* 203.0.113.0 */
    add_header(slot, "authorization", words->authorization);
    add_header(slot, "x-api-key", words->api_key);
    add_header(slot, "idempotency-key", words->idempotency_key);
    add_header(slot, "content-type", words->is_post ? "application/json" : "");
    add_header(slot, "sec-purpose", ask->is_prefetch ? "prefetch" : "");
}

struct slot *server_request(const struct ask *ask, const struct words_request *words)
{
    struct slot *slot = take_slot(ask);
    if (!slot) return NULL;
    if (!slot->user) {
        slot->user = memory_of(server.http.user_size);
        memset(slot->user, 0, server.http.user_size);
        arena_init(&slot->arena, memory_of(ARENA_SIZE), ARENA_SIZE);
    }
    arena_reset(&slot->arena);
    slot->words = *words;
    fill_http(slot);
    server.http.handler->on_request(&slot->http, server.http.owner);
    return slot;
}

static int rows_of(const struct op *op)
{
    return op->outcome != OUTCOME_RECORDED ? 0
           : op->kind == OP_RETAIN         ? (int)op->retain.removed_count
           : op->kind == OP_ERASE          ? (int)op->erase.erased_count
                                           : 0;
}

static void answer_command(struct slot *slot)
{
    static const int statuses[] = {
        [OUTCOME_RECORDED] = 200,   [OUTCOME_DUPLICATE] = 200, [OUTCOME_NOT_FOUND] = 404,
        [OUTCOME_LIMITED] = 429,    [OUTCOME_CONFLICT] = 409,  [OUTCOME_BAD_OPTION] = 400,
        [OUTCOME_UNAVAILABLE] = 503};
    if (server.is_deaf) return;
    slot->is_answered = true;
    slot->answer.status = statuses[slot->order.op.outcome];
    slot->answer.retry_after_s = -1;
    slot->answer.receipt = 0;
    slot->answer.rows = rows_of(&slot->order.op);
    slot->answer.location[0] = slot->answer.body[0] = '\0';
}

struct slot *server_command(const struct ask *ask, const char *key_id, const char *text)
{
    struct slot *slot = take_slot(ask);
    if (!slot) return NULL;
    order_fill(&slot->order, ask, key_id, text, keyring_pepper(ledger_keyring(server.ledger)));
    if (!ledger_submit(server.ledger, &server.commands, &slot->order.op)) {
        slot->order.op.outcome = OUTCOME_UNAVAILABLE;
        answer_command(slot);
    }
    return slot;
}

bool slot_is_answered(const struct slot *slot)
{
    return slot->is_answered;
}

const struct ask *slot_ask(const struct slot *slot)
{
    return &slot->ask;
}

const struct answer *slot_answer(const struct slot *slot)
{
    return &slot->answer;
}

size_t server_waiting(struct slot *out[SLOTS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < server.slots_count; i++)
        if (!server.slots[i]->is_answered) out[count++] = server.slots[i];
    return count;
}

void server_sweep(void)
{
    size_t count = 0;
    for (size_t i = 0; i < server.slots_count; i++) {
        server.slots[i]->is_used = !server.slots[i]->is_answered;
        if (server.slots[i]->is_used) server.slots[count++] = server.slots[i];
    }
    server.slots_count = count;
}

static void take_answers(void)
{
    if (!server.rang) return;
    server.rang = false;
    server.wake->on_ring(server.wake);
    for (struct op *op = ledger_take_answered(&server.commands), *next; op; op = next) {
        next = op->next;
        answer_command((struct slot *)(void *)((char *)op - offsetof(struct slot, order.op)));
    }
}

enum err server_turn(bool *batch_failed)
{
    struct ledger_stats before, after;
    ledger_stats(server.ledger, &before);
    enum err err = ledger_turn(server.ledger);
    ledger_stats(server.ledger, &after);
    *batch_failed = after.batches_failed != before.batches_failed;
    take_answers();
    return err;
}

static enum err start_api(const struct server_options *options)
{
    struct api_options api;
    api_options_init(&api);
    api.click_ttl_ms = options->click_ttl_ms;
    api.impression_ttl_ms = options->impression_ttl_ms;
    api.rate_limit = options->rate_limit;
    api.client_rate_limit = options->client_rate_limit;
    server.api = api_new(&api, server.ledger);
    if (!server.api) return ERR_NO_MEMORY;
    enum err err = api_loop_new(&server.loop, server.api, NULL);
    if (!err) api_loop_serve(server.loop, &server.http);
    return err;
}

enum err server_start(const struct server_options *options, char problem[STORE_PROBLEM_MAX])
{
    struct store *store;
    struct store_options store_options;
    struct ledger_options ledger_options = {.queue_cap = options->queue_cap};
    store_options_init(&store_options);
    store_options.dir = options->dir;
    store_options.create = true;
    store_options.index_log_events = 16;
    store_options.index_load_changes = 16;
    store_options.click_ttl_ms = options->click_ttl_ms;
    store_options.impression_ttl_ms = options->impression_ttl_ms;
    store_options.collect_dedup_window_ms = options->collect_window_ms;
    enum err err = store_open(&store, &store_options, problem);
    if (err) return err;
    snprintf(problem, STORE_PROBLEM_MAX, "cannot start the ledger");
    err = ledger_open(&server.ledger, store, &ledger_options);
    if (err) return err;
    ledger_port_init(&server.commands, ring_for_commands, NULL);
    server.is_deaf = server.rang = false;
    err = start_api(options);
    if (err) server_drop();
    return err;
}

bool server_is_healthy(void)
{
    return ledger_is_healthy(server.ledger);
}

/* What a connection remembers ends with the server. */
static void forget_connections(void)
{
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (server.all[i].user) memset(server.all[i].user, 0, server.http.user_size);
}

static void close_all(void)
{
    for (size_t i = 0; i < server.slots_count; i++)
        server.slots[i]->is_used = false;
    forget_connections();
    server.slots_count = 0;
    api_loop_free(server.loop);
    api_free(server.api);
    ledger_close(server.ledger);
    ledger_port_fini(&server.commands);
    server.loop = NULL;
    server.api = NULL;
    server.ledger = NULL;
}

void server_stop(void)
{
    close_all();
}

void server_drop(void)
{
    bool batch_failed;
    server.is_deaf = true;
    server_turn(&batch_failed); /* the queue has to be empty */
    close_all();
}

uint32_t server_kids(char kids[][KID_TEXT], uint32_t max)
{
    struct token_key keys[TOKEN_KEYS_MAX];
    uint32_t count = keyring_token_keys(ledger_keyring(server.ledger), keys);
    ASSERT(count <= max);
    for (uint32_t i = 0; i < count; i++)
        snprintf(kids[i], KID_TEXT, "%.*s", TOKEN_KID_LEN, keys[i].kid);
    return count;
}

bool server_kid_of_token(char kid[KID_TEXT], const char *token)
{
    char memory[256];
    struct writer footer;
    writer_init(&footer, memory, sizeof memory);
    if (!paseto_footer(&footer, span_of(token))) return false;
    struct span name = footer_kid(writer_text(&footer));
    if (name.len != KID_TEXT - 1) return false;
    snprintf(kid, KID_TEXT, "%.*s", SPAN_FMT(name));
    return true;
}

uint64_t server_sequence_of(uint64_t receipt)
{
    char text[RECEIPT_LEN + 1];
    uint64_t sequence = 0;
    snprintf(text, sizeof text, "%016" PRIx64, receipt);
    receipt_read(&sequence, keyring_receipt_key(ledger_keyring(server.ledger)),
                 (struct span){text, RECEIPT_LEN});
    return sequence;
}

static struct claims claims_of(const struct server_ad *ad, char texts[2][24])
{
    return (struct claims){
        .bid = ad->bid[0] ? span_of(ad->bid) : SPAN_NONE,
        .pub = words_name(texts[0], "publisher", ad->publisher),
        .adv = words_name(texts[1], "advertiser", ad->advertiser),
        .url = span_of(ad->url),
        .pol = -1,
        .exp_ms = ad->end_ms,
    };
}

void server_mint_elsewhere(char token[TOKEN_TEXT], const struct server_ad *ad, enum token_use use)
{
    static const enum purpose purposes[TOKEN_USES] = {
        [TOKEN_VIEW] = PURPOSE_VIEW, [TOKEN_CLICK] = PURPOSE_CLICK, [TOKEN_ACK] = PURPOSE_ACK};
    static const uint8_t nonce[PASETO_NONCE_SIZE];
    char texts[2][24], json_memory[TOKEN_TEXT], footer_memory[64];
    struct token_key key;
    struct writer json, footer, out;
    struct claims claims = claims_of(ad, texts);
    keyring_minting_key(ledger_keyring(server.ledger), &key);
    writer_init(&json, json_memory, sizeof json_memory);
    claims_write(&json, &claims, purposes[use]);
    writer_init(&footer, footer_memory, sizeof footer_memory);
    footer_write(&footer, (struct span){key.kid, sizeof key.kid});
    writer_init(&out, token, TOKEN_TEXT - 1);
    paseto_encrypt(&out, &key.key, nonce, writer_text(&json), writer_text(&footer),
                   purpose_assertion(purposes[use]));
    ASSERT(!out.overflow);
    token[out.len] = '\0';
}
