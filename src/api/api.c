#include "api/api.h"

#include "api/address.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/rng.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIMITED_KEYS_MAX = 1 << 16,
    LIMITED_CLIENTS_MAX = 1 << 20,
    /* What a request makes besides its body: strings without their escapes and stamped params,
     * which together are no longer than the body; extra fields; the answer. */
    ARENA_SIZE = 2 * LIMIT_BODY + 4 * LIMIT_EXTRA + 32 * 1024,
    LARGE_COUNT = 32, /* mintings at once in a loop */
    /* 500 ads of the longest body: 14 MiB (mint.c), and the texts and URLs of their polls. */
    LARGE_ARENA_SIZE = 32 * 1024 * 1024,
};

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

_Static_assert(offsetof(struct api_request, op) == 0, "an answered op is its request");

void api_options_init(struct api_options *options)
{
    *options = (struct api_options){.click_ttl_ms = 90 * DAY_MS,
                                    .impression_ttl_ms = 30 * DAY_MS,
                                    .body_max = LIMIT_BODY,
                                    .mint_body_max = LIMIT_MINT_BODY};
}

/* Off is NULL in the settings; the limiter itself stays for the next time. */
static bool set_limiter(struct limiter **limiter, struct limiter **setting, uint32_t rate,
                        uint32_t keys_max)
{
    *setting = NULL;
    if (!rate) return true;
    if (*limiter)
        limiter_set_rate(*limiter, rate);
    else
        *limiter = limiter_new(rate, keys_max);
    *setting = *limiter;
    return *limiter != NULL;
}

static bool set_limiters(struct api *api, struct api_settings *settings)
{
    const struct api_options *options = &settings->options;
    bool had_key_limiter = api->key_limiter != NULL;
    bool ok = set_limiter(&api->key_limiter, &settings->key_limiter, options->rate_limit,
                          LIMITED_KEYS_MAX);
    if (ok && api->key_limiter && !had_key_limiter)
        ok = ledger_share_uses(api->ledger, api->key_limiter);
    return ok && set_limiter(&api->client_limiter, &settings->client_limiter,
                             options->client_rate_limit, LIMITED_CLIENTS_MAX);
}

/* The copy's URL is in the copy. */
static void copy_settings(struct api_settings *to, const struct api_settings *from)
{
    *to = *from;
    if (from->options.public_url.ptr) to->options.public_url.ptr = to->public_url;
}

static void take_url(struct api_settings *settings)
{
    struct span *url = &settings->options.public_url;
    if (!url->ptr) return;
    while (url->len > 0 && url->ptr[url->len - 1] == '/')
        url->len--;
    ASSERT(url->len <= sizeof settings->public_url);
    memcpy(settings->public_url, url->ptr, url->len);
    url->ptr = settings->public_url;
}

enum err api_configure(struct api *api, const struct api_options *options)
{
    struct api_settings settings = {.options = *options};
    take_url(&settings);
    settings.options.click_ttl_ms = api->settings.options.click_ttl_ms;
    settings.options.impression_ttl_ms = api->settings.options.impression_ttl_ms;
    settings.traffic = api->settings.traffic;
    if (!set_limiters(api, &settings)) return ERR_NO_MEMORY;
    pthread_mutex_lock(&api->mutex);
    copy_settings(&api->settings, &settings);
    pthread_mutex_unlock(&api->mutex);
    return ERR_OK;
}

void api_settings_take(struct api_settings *out, struct api *api)
{
    pthread_mutex_lock(&api->mutex);
    copy_settings(out, &api->settings);
    pthread_mutex_unlock(&api->mutex);
}

bool api_is_https(struct api *api, const struct http_request *request)
{
    struct api_settings settings;
    api_settings_take(&settings, api);
    return address_is_https(request, &settings.options);
}

bool api_client_of(struct api *api, struct in6_addr *out, const struct http_request *request)
{
    struct api_settings settings;
    api_settings_take(&settings, api);
    return address_of_client(out, request, &settings.options);
}

struct api *api_new(const struct api_options *options, struct ledger *ledger)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api) return NULL;
    api->ledger = ledger;
    api->keyring = ledger_keyring(ledger);
    api_metrics_init(&api->metrics);
    pthread_mutex_init(&api->tail.mutex, NULL);
    rng_fill(&api->visitor_seed, sizeof api->visitor_seed);
    pthread_mutex_init(&api->mutex, NULL);
    api->settings.options = *options;
    if (!api_configure(api, options)) return api;
    api_free(api);
    return NULL;
}

void api_free(struct api *api)
{
    if (!api) return;
    if (api->key_limiter) limiter_free(api->key_limiter);
    if (api->client_limiter) limiter_free(api->client_limiter);
    api_metrics_fini(&api->metrics);
    pthread_mutex_destroy(&api->tail.mutex);
    traffic_free(api->traffic);
    pthread_mutex_destroy(&api->mutex);
    free(api);
}

struct traffic *api_use_traffic(struct api *api, struct traffic *traffic)
{
    struct traffic *before = api->traffic;
    api->traffic = traffic;
    pthread_mutex_lock(&api->mutex);
    api->settings.traffic = traffic;
    pthread_mutex_unlock(&api->mutex);
    return before;
}

/* What an outcome makes of a request, unless it is refused for it. */
static enum disposition disposition_of(const struct op *op)
{
    if (op->kind == OP_POLL_RESULTS) return DISPOSITION_ANSWERED;
    switch (op->outcome) {
    case OUTCOME_RECORDED:
        return DISPOSITION_RECORDED;
    case OUTCOME_DUPLICATE:
        return DISPOSITION_DUPLICATE;
    case OUTCOME_LIMITED:
        return DISPOSITION_CAPPED;
    default:
        return DISPOSITION_UNRECORDED;
    }
}

void api_take_answer(struct api_request *request)
{
    request->disposition = disposition_of(&request->op);
    request->route->on_answer(request);
}

static void on_ring(struct ev_wake *wake)
{
    struct api_loop *loop =
        (struct api_loop *)(void *)((char *)wake - offsetof(struct api_loop, wake));
    struct op *op = ledger_take_answered(&loop->port);
    while (op) {
        /* Before the answer: the connection may take its next request into the same memory. */
        struct op *next = op->next;
        struct api_request *request = (struct api_request *)op;
        ASSERT(request->magic == API_REQUEST_MAGIC && op->outcome != OUTCOME_PENDING);
        api_take_answer(request);
        op = next;
    }
}

static void wake_loop(void *arg)
{
    ev_wake_ring(&((struct api_loop *)arg)->wake);
}

enum err api_loop_new(struct api_loop **out, struct api *api, struct ev_loop *ev)
{
    struct api_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return ERR_NO_MEMORY;
    loop->api = api;
    api_loop_adopt(loop);
    loop->loop = ev;
    loop->tokens_cap = API_TOKENS_MAX;
    loop->tokens = malloc(API_TOKENS_MAX * sizeof *loop->tokens);
    loop->metrics = api_metrics_join(api);
    enum err err =
        loop->tokens && loop->metrics ? ev_wake_open(ev, &loop->wake, on_ring) : ERR_NO_MEMORY;
    if (err) {
        free(loop->tokens);
        free(loop);
        return err;
    }
    rng_fill(&loop->json_seed, sizeof loop->json_seed);
    ledger_port_init(&loop->port, wake_loop, loop);
    *out = loop;
    return ERR_OK;
}

void api_loop_free(struct api_loop *loop)
{
    if (!loop) return;
    ev_wake_close(loop->loop, &loop->wake);
    ledger_port_fini(&loop->port);
    free(loop->tokens);
    free(loop);
}

void api_loop_adopt(struct api_loop *loop)
{
    api_settings_take(&loop->settings, loop->api);
}

void api_loop_serve(struct api_loop *loop, struct http_options *options)
{
    options->handler = &route_handler;
    options->owner = loop;
    options->user_size = sizeof(struct api_request);
    options->arena_size = ARENA_SIZE;
    options->large_count = LARGE_COUNT;
    options->large_arena_size = LARGE_ARENA_SIZE;
}
