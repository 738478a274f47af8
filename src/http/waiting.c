#include "http/conn.h"

#include "base/assert.h"

/* Who waits for its client, in the order in which that began: rings through an array of links by
 * slot, so that a connection's neighbours are not touched to add or remove it. The links past those
 * of the slots are the rings' own. */

static enum http_ring ring_of(enum http_conn_state state)
{
    switch (state) {
    case HTTP_CONN_IDLE:
        return HTTP_RING_IDLE;
    case HTTP_CONN_HEAD:
    case HTTP_CONN_BODY:
    case HTTP_CONN_WRITING:
    case HTTP_CONN_DRAINING:
        return HTTP_RING_BUSY;
    default:
        return HTTP_RINGS;
    }
}

static uint32_t end_of(const struct http_server *server, enum http_ring ring)
{
    return server->options.conns_max + (uint32_t)ring;
}

void http_waiting_init(struct http_server *server)
{
    for (enum http_ring ring = HTTP_RING_IDLE; ring < HTTP_RINGS; ring++) {
        uint32_t end = end_of(server, ring);
        server->links[end] = (struct http_link){end, end};
    }
}

void http_waiting_add(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    enum http_ring ring = ring_of(conn->state);
    if (conn->is_waiting || ring == HTTP_RINGS) return;
    uint32_t end = end_of(server, ring), last = server->links[end].prev;
    server->links[conn->slot] = (struct http_link){last, end};
    server->links[last].next = server->links[end].prev = conn->slot;
    conn->is_waiting = true;
    conn->waits_since_ms = ev_loop_now_ms(server->loop);
}

void http_waiting_remove(struct http_conn *conn)
{
    struct http_link *links = conn->server->links;
    if (!conn->is_waiting) return;
    struct http_link link = links[conn->slot];
    links[link.prev].next = link.next;
    links[link.next].prev = link.prev;
    conn->is_waiting = false;
}

struct http_conn *http_waiting_longest(const struct http_server *server)
{
    int64_t latest_ms = ev_loop_now_ms(server->loop) - HTTP_YIELD_AFTER_MS;
    for (enum http_ring ring = HTTP_RING_IDLE; ring < HTTP_RINGS; ring++) {
        uint32_t end = end_of(server, ring), first = server->links[end].next;
        if (first == end) continue;
        struct http_conn *conn = &server->conns[first];
        ASSERT(conn->is_waiting && !conn->is_queued);
        if (conn->waits_since_ms <= latest_ms) return conn;
    }
    return NULL;
}
