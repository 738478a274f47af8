#pragma once

#include "admin/admin.h"
#include "http/http.h"

#include <stdbool.h>

/* The admin listener: HTTP on an address and a thread of its own, never the public one's (contract
 * section 8). A page is a row of web_routes.c and a handler:
 *
 *     void page_handle(struct web_request *request)
 *     {
 *         struct writer out;
 *         web_writer(request, &out);
 *         ... the request is request->http: query, body; what the server has is request->admin ...
 *         web_respond(request, 200, WEB_JSON, writer_text(&out));
 *     }
 *
 * A handler answers before it returns, or opens a stream. It may block for a moment on a read-only
 * connection of its own to admin->dir: only the admin listener waits for it. It must not call into
 * the store. */

#define WEB_JSON "application/json"
#define WEB_TEXT "text/plain; charset=utf-8"
#define WEB_HTML "text/html; charset=utf-8"

struct admin_web;
struct web_request;

/* Who may ask: anybody, or who has an admin key, as `Authorization: Bearer` or by the cookie of
 * POST /session. */
enum web_auth { WEB_OPEN, WEB_KEY };

struct web_route {
    struct span path;        /* one that ends with "*" stands for all that begin so */
    enum http_method method; /* HTTP_GET: HEAD as well */
    enum web_auth auth;
    void (*handle)(struct web_request *request);
};

extern const struct web_route web_routes[];
extern const size_t web_routes_count;

struct web_request {
    struct http_request *http;
    struct admin *admin;
    struct admin_web *web;
    const struct api_key *key; /* who asks; NULL: not signed in (WEB_OPEN only) */
    uint64_t session_serial;   /* 0: came with the key itself */
    struct keyring_memo memo;  /* of the connection's requests */
};

/* What most answers are: `body` is copied unless it lies in the request's arena. With the security
 * headers, and `Cache-Control: no-store`. */
void web_respond(struct web_request *request, int status, const char *content_type,
                 struct span body);

/* {"detail":"sentence"} */
void web_refuse(struct web_request *request, int status, const char *sentence);

/* The rest: header lines of its own (Cache-Control among them), a body that is static. */
struct web_answer {
    int status;
    const char *content_type; /* NULL: none */
    struct span header_lines; /* each with \r\n; absent: Cache-Control: no-store */
    struct span body;
    bool body_is_static;
    const char *reason; /* of 400 or more, for the log; NULL: "refused" */
};
void web_answer(struct web_request *request, const struct web_answer *answer);

/* All the memory that is left for this request (megabytes), to write an answer into. */
enum { WEB_ARENA_SIZE = 16 * 1024 * 1024 };
void web_writer(struct web_request *request, struct writer *out);

/* A decoded parameter of the query, in the request's arena; absent when it is not there once. */
struct span web_parameter(struct web_request *request, struct span name);

/* Server-sent events. The stream lives until web_stream_close or on_end, which is called once when
 * the client is gone, reads too slowly, signed out, or the server stops. on_tick comes about ten
 * times a second. A stream's own state is `user`. */
struct web_stream;
struct web_stream_calls {
    void (*on_tick)(struct web_stream *stream, void *user); /* may be NULL */
    void (*on_end)(void *user);                             /* may be NULL */
};
enum { WEB_STREAMS_MAX = 24 };

/* NULL: answered (too many of them, or HEAD); `user` is still the caller's. */
struct web_stream *web_stream_open(struct web_request *request,
                                   const struct web_stream_calls *calls, void *user);

/* One event: `name` may be absent, `line` has no line breaks and WEB_EVENT_MAX bytes at most. */
enum { WEB_EVENT_MAX = 60 * 1024 };
void web_stream_send(struct web_stream *stream, struct span name, struct span line);
void web_stream_close(struct web_stream *stream); /* on_end is not called */
struct admin *web_stream_admin(const struct web_stream *stream);

/* Starts the thread. Ownership of the listening socket moves, also on failure. `admin` stays the
 * caller's, and alive until admin_web_stop. */
enum err admin_web_start(struct admin_web **out, int listen_fd, struct admin *admin);
void admin_web_stop(struct admin_web *web);
