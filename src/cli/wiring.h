#pragma once

#include "api/api.h"
#include "cli/options.h"
#include "ledger/ledger.h"

#include <stdbool.h>

/* Store, ledger and api as the options say: what a server and a command that opens the data
 * directory itself have in common. On failure nothing is left open and `problem` is the sentence
 * for it, without a full stop. */
struct wiring_stores {
    struct store *lanes[LEDGER_LANES_MAX];
    uint32_t count;
};

/* A store for each of `lanes` lanes, or the one that SQLite has. */
enum err wiring_open(const struct options *options, bool create, uint32_t lanes,
                     struct wiring_stores *stores, char problem[STORE_PROBLEM_MAX]);

struct store_options wiring_store_options(const struct options *options, bool create);
struct api_options wiring_api_options(const struct options *options);

/* The part of the http options that can change while serving (http_server_configure). */
void wiring_live_http(struct http_options *http, const struct options *options);

/* The stores are the ledger's from here on. */
enum err wiring_start(const struct options *options, const struct wiring_stores *stores,
                      struct ledger **ledger, struct api **api, char problem[STORE_PROBLEM_MAX]);
