#pragma once

#include "api/api.h"
#include "cli/args.h"
#include "cli/value.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What can be configured: one table, from which come the flags of `adtally serve` (--click-ttl
 * 90d), the names of the configuration file (click_ttl = 90d), the help, and the check of
 * docs/configuration.md. A flag wins over the file. */

enum { OPTIONS_STORE_MAX = 1024 };

struct options {
    struct span data, store, config; /* absent: not given */
    struct span public_url;
    struct span bot_patterns, datacenter_ranges; /* files; absent: the list built in, none */
    struct value_address listen;
    struct value_address admin_listen; /* without length: off */
    int64_t threads;                   /* 0: one per core */
    int64_t store_connections;
    int64_t rate_limit, client_rate_limit;
    int64_t impression_ttl_ms, click_ttl_ms, collect_dedup_window_ms;
    int64_t retention_ms;                  /* 0: for ever */
    int64_t retention_of_ms[EVENT_TABLES]; /* of a kind; -1: as long as retention_ms says */
    int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    int64_t head_limit, target_limit, body_limit, mint_body_limit, headers_limit;
    int64_t max_connections, queue_limit;
    bool client_address_full, sandbox, log_failures;
    struct api_network trusted_proxies[API_PROXIES_MAX];
    size_t trusted_proxies_count;

    uint64_t given_by_flag; /* bits of rows of the table */
    char *file;             /* the configuration file's text, which spans may point into */
    char data_path[512];    /* `data`, NUL-terminated */
    char store_url[OPTIONS_STORE_MAX]; /* `store`, NUL-terminated, which may hold a password; empty:
                                          sqlite */
};

/* What options_load found, and what to end with. */
enum options_result { OPTIONS_OK, OPTIONS_FAILED, OPTIONS_BAD };

/* Fills in the defaults, then `args` (the flags of serve), then the file: --config, else
 * DIR/adtally.conf if there is one. On anything but OPTIONS_OK it has been said on standard error.
 */
enum options_result options_load(struct options *options, struct args *args);

/* The same for the commands, which take few flags: absent spans are not given. */
enum options_result options_load_for(struct options *options, struct span data, struct span store,
                                     struct span config);

void options_free(struct options *options);

/* How long each kind of event is kept at least. False: everything for ever. */
bool options_retention(const struct options *options, int64_t keep_ms[EVENT_TABLES]);

/* The table as lines of help, or as rows of Markdown for docs/configuration.md. */
void options_print_help(FILE *out);
void options_print_markdown(FILE *out);

/* For tests: sets one option from text, by its name in the file. False: `problem` is what a value
 * of it looks like, as in "click_ttl: <problem>". */
enum { OPTIONS_PROBLEM_MAX = 256 };
void options_init(struct options *options);
bool options_set(struct options *options, struct span name, struct span value,
                 char problem[OPTIONS_PROBLEM_MAX]);

/* For tests: a whole file. Says what is wrong as path:line. */
bool options_read_text(struct options *options, const char *path, struct span text);
