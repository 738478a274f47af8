#include "cli/wiring.h"

#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

struct store_options wiring_store_options(const struct options *options, bool create)
{
    struct store_options store;
    store_options_init(&store);
    store.dir = options->data_path;
    store.url = options->store_url[0] ? options->store_url : NULL;
    store.create = create;
    store.click_ttl_ms = options->click_ttl_ms;
    store.impression_ttl_ms = options->impression_ttl_ms;
    store.collect_dedup_window_ms = options->collect_dedup_window_ms;
    return store;
}

struct api_options wiring_api_options(const struct options *options)
{
    struct api_options api;
    api_options_init(&api);
    api.click_ttl_ms = options->click_ttl_ms;
    api.impression_ttl_ms = options->impression_ttl_ms;
    api.body_max = (uint32_t)options->body_limit;
    api.mint_body_max = (uint32_t)options->mint_body_limit;
    api.rate_limit = (uint32_t)options->rate_limit;
    api.client_rate_limit = (uint32_t)options->client_rate_limit;
    api.public_url = options->public_url;
    api.client_address_full = options->client_address_full;
    memcpy(api.trusted_proxies, options->trusted_proxies, sizeof api.trusted_proxies);
    api.trusted_proxies_count = options->trusted_proxies_count;
    return api;
}

void wiring_live_http(struct http_options *http, const struct options *options)
{
    http->head_timeout_ms = options->head_timeout_ms;
    http->body_timeout_ms = options->body_timeout_ms;
    http->idle_timeout_ms = options->idle_timeout_ms;
    http->write_timeout_ms = options->write_timeout_ms;
    http->hides_failures = !options->log_failures;
}

static enum err start_ledger(const struct options *options, const struct wiring_stores *stores,
                             struct ledger **ledger)
{
    struct ledger_options ledger_options;
    ledger_options_init(&ledger_options);
    ledger_options.queue_cap = (uint32_t)options->queue_limit;
    return ledger_start(ledger, stores->lanes, stores->count, &ledger_options);
}

static void close_stores(struct wiring_stores *stores)
{
    while (stores->count > 0)
        store_close(stores->lanes[--stores->count]);
}

/* The first one makes what there has to be, the others find it. */
enum err wiring_open(const struct options *options, bool create, uint32_t lanes,
                     struct wiring_stores *stores, char problem[STORE_PROBLEM_MAX])
{
    struct progress progress;
    struct store_options store_options = wiring_store_options(options, create);
    uint32_t count = store_options.url ? lanes : 1;
    enum err err = ERR_OK;
    stores->count = 0;
    store_options.progress = progress_begin(&progress, "reading the events");
    while (!err && stores->count < count) {
        store_options.lane = stores->count;
        err = store_open(&stores->lanes[stores->count], &store_options, problem);
        if (!err) stores->count++;
    }
    progress_end(&progress);
    if (err) close_stores(stores);
    return err;
}

enum err wiring_start(const struct options *options, const struct wiring_stores *stores,
                      struct ledger **ledger, struct api **api, char problem[STORE_PROBLEM_MAX])
{
    struct api_options api_options = wiring_api_options(options);
    enum err err = start_ledger(options, stores, ledger);
    if (!err) {
        *api = api_new(&api_options, *ledger);
        if (*api) return ERR_OK;
        ledger_stop(*ledger);
        err = ERR_NO_MEMORY;
    }
    *ledger = NULL;
    snprintf(problem, STORE_PROBLEM_MAX, "cannot start on %.400s: %s: %s", options->data_path,
             err_text(err), err_advice(err));
    return err;
}
