#pragma once

#include "admin/live.h"
#include "admin/session.h"
#include "admin/web.h"
#include "ledger/limiter.h"

#include <pthread.h>

/* Shared by the files of the admin listener, by nobody else. All but the thread is the thread's. */

struct web_stream {
    struct http_request *http; /* NULL: free */
    struct admin_web *web;
    struct web_stream_calls calls;
    void *user;
    const struct api_key *key;
    uint64_t session_serial;
    int64_t sent_ms; /* the last event or comment */
};

struct admin_web {
    struct ev_hook hook; /* first */
    struct ev_wake wake;
    pthread_t thread;
    struct admin *admin;
    struct ev_loop *loop;
    struct http_server *server;
    struct limiter *failures; /* of signing in, by client address */
    struct sessions sessions;
    struct web_stream streams[WEB_STREAMS_MAX];
    struct live_feed *live;
    int64_t stops_at_ms;             /* 0: not yet */
    char event[WEB_EVENT_MAX + 128]; /* one that is being sent */
};

/* web_auth.c: who asks. `request->key` stays NULL when it is nobody. */
void web_identify(struct web_request *request);

/* 401, or 429 to who was refused too often: logged. */
void web_refuse_key(struct web_request *request);

/* Whether a browser says that another site's page made this request. */
bool web_is_cross_site(const struct http_request *http);

bool web_is_valid(struct admin_web *web, const struct api_key *key, uint64_t session_serial);

/* web_stream.c */
void web_streams_tick(struct admin_web *web);
void web_stream_ended(struct admin_web *web, struct http_request *http);
