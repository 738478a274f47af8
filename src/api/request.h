#pragma once

#include "api/api.h"
#include "api/metrics.h"
#include "api/problems.h"
#include "api/route.h"
#include "api/tail.h"
#include "base/rng_pool.h"
#include "ledger/limiter.h"

#include <pthread.h>

/* What the files of this module share: the server's part, a loop's part, a request's part. */

/* Who watches requests go by; metrics.watchers says how many do. */
struct tail {
    pthread_mutex_t mutex; /* of the list; taken before a watcher's */
    struct tail_watcher *first;
};

/* What can change while serving: a copy for each loop, which so never waits for another thread. */
struct api_settings {
    struct api_options options;
    struct limiter *key_limiter;    /* NULL: off */
    struct limiter *client_limiter; /* NULL: off */
    const struct traffic *traffic;  /* NULL: none */
    char public_url[LIMIT_LANDING_URL];
};

struct api {
    struct ledger *ledger;
    struct keyring *keyring; /* the ledger's */
    /* Once needed they stay, since a loop may still go by them. */
    struct limiter *key_limiter, *client_limiter;
    struct api_metrics metrics;
    struct tail tail;
    struct traffic *traffic; /* that of `settings`, to be freed */
    uint64_t visitor_seed;   /* of visitors' keys, which leave this process nowhere */

    pthread_mutex_t mutex; /* of what follows */
    struct api_settings settings;
};

/* The settings as they are now. Any thread. */
void api_settings_take(struct api_settings *out, struct api *api);

struct api_loop {
    struct api *api;
    struct api_settings settings;
    struct ev_loop *loop;
    struct ev_wake wake;
    struct ledger_port port;
    struct json_token *tokens; /* scratch of the request being parsed, never across a submit */
    uint32_t tokens_cap;
    uint64_t json_seed;
    struct rng_pool random; /* of ids */
    struct loop_metrics *metrics;
};

enum {
    API_REQUEST_MAGIC = 0x61706972,
    API_TOKENS_MAX = LIMIT_MINT_BODY / 2 + 1, /* what json_parse needs for the longest body */
};

/* http_request.user. The op comes first: what the ledger gives back is the request. */
struct api_request {
    struct op op;
    uint32_t magic;
    struct http_request *http;
    struct api_loop *loop; /* NULL while the server starts */
    const struct route *route;
    const struct api_key *key; /* the valid one, of routes that want one */
    struct keyring_memo memo;  /* of the connection's requests */
    const char *reason;        /* why it is refused: reject_row's label */
    int64_t now_ms;            /* wall clock, once per request */
    int64_t began_us;          /* monotonic, when it was complete */
    unsigned disposition;      /* enum disposition */
    bool has_op;               /* `op` is this request's, not the last one's */
    char client_address[INET6_ADDRSTRLEN];
};

/* Hands request->op to the ledger; the route's on_answer follows, at once when the queue is full.
 */
void api_submit(struct api_request *request);

/* The op has its outcome: to the route's on_answer. */
void api_take_answer(struct api_request *request);

/* Tells those who watch; before the answer, which ends the request. Not to be called while nobody
 * does: clearing its line's memory alone is half a thousand instructions. */
void tail_note(const struct api_request *request, int status);
