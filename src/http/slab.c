#include "http/conn.h"

#include "base/assert.h"

#include <string.h>
#include <sys/mman.h>

/* Of a slot, each part on pages of its own but the first two:
 *   headers | user | in | arena | out */

enum { PAGE = 4096 };

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static void *reserve(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (at == MAP_FAILED) return NULL;
    /* With huge pages the first byte of a buffer would cost 2 MiB. A kernel without them says no.
     */
    (void)madvise(at, size, MADV_NOHUGEPAGE);
    return at;
}

static void release(void *at, size_t size)
{
    if (at) munmap(at, size);
}

/* Gives back what lies past `keep` of the first `used` bytes. */
static void discard(char *at, size_t used, size_t keep)
{
    size_t from = round_up((size_t)at + keep, PAGE), to = round_up((size_t)at + used, PAGE);
    if (from < to) (void)madvise(at + (from - (size_t)at), to - from, MADV_DONTNEED);
}

static size_t headers_size(const struct http_options *options)
{
    return round_up(options->headers_max * sizeof(struct http_header), 16);
}

static size_t front_size(const struct http_options *options)
{
    return headers_size(options) + round_up(options->user_size, 16);
}

static size_t in_size(const struct http_options *options)
{
    size_t in = HTTP_PIPELINE_MAX + options->head_max + LIMIT_BODY + HTTP_READ_ROOM_MIN;
    return round_up(front_size(options) + in, PAGE) - front_size(options);
}

static size_t arena_size(const struct http_options *options)
{
    return round_up(options->arena_size, PAGE);
}

static size_t large_arena_size(const struct http_options *options)
{
    return round_up(options->large_arena_size, PAGE);
}

static size_t links_size(const struct http_options *options)
{
    return ((size_t)options->conns_max + HTTP_RINGS) * sizeof(struct http_link);
}

static void lay_out_large(struct http_server *server)
{
    const struct http_options *options = &server->options;
    for (uint32_t i = 0; i < options->large_count; i++) {
        struct http_large *large = &server->larges[i];
        char *at = server->large_memory + i * server->large_stride;
        arena_init(&large->arena, at, large_arena_size(options));
        large->body = at + large_arena_size(options);
        large->next_free = server->free_larges;
        server->free_larges = large;
    }
}

enum err http_slab_init(struct http_server *server)
{
    const struct http_options *options = &server->options;
    server->memory_stride = front_size(options) + in_size(options) + arena_size(options) +
                            round_up(HTTP_SCRATCH + HTTP_COPIED_BODY_MAX, PAGE);
    server->memory_size = server->memory_stride * options->conns_max;
    server->large_stride = large_arena_size(options) + round_up(options->body_max, PAGE);
    server->large_memory_size = server->large_stride * options->large_count;

    server->memory = reserve(server->memory_size);
    server->conns = reserve(options->conns_max * sizeof *server->conns);
    server->deadlines_ms = reserve(options->conns_max * sizeof *server->deadlines_ms);
    server->links = reserve(links_size(options));
    if (!server->memory || !server->conns || !server->deadlines_ms || !server->links)
        return ERR_NO_MEMORY;
    http_waiting_init(server);
    if (options->large_count == 0) return ERR_OK;
    server->large_memory = reserve(server->large_memory_size);
    server->larges = reserve(options->large_count * sizeof *server->larges);
    if (!server->large_memory || !server->larges) return ERR_NO_MEMORY;
    lay_out_large(server);
    return ERR_OK;
}

void http_slab_fini(struct http_server *server)
{
    const struct http_options *options = &server->options;
    release(server->memory, server->memory_size);
    release(server->conns, options->conns_max * sizeof *server->conns);
    release(server->deadlines_ms, options->conns_max * sizeof *server->deadlines_ms);
    release(server->links, links_size(options));
    release(server->large_memory, server->large_memory_size);
    release(server->larges, options->large_count * sizeof *server->larges);
}

static struct http_conn *lay_out_slot(struct http_server *server, uint32_t slot)
{
    const struct http_options *options = &server->options;
    struct http_conn *conn = &server->conns[slot];
    char *at = server->memory + slot * server->memory_stride;
    server->deadlines_ms[slot] = INT64_MAX;
    conn->slot = slot;
    conn->server = server;
    conn->headers = (struct http_header *)(void *)at;
    conn->request.user = at + headers_size(options);
    conn->in = at + front_size(options);
    conn->in_cap = in_size(options);
    arena_init(&conn->arena, conn->in + conn->in_cap, arena_size(options));
    conn->out = conn->arena.base + conn->arena.cap;
    return conn;
}

struct http_conn *http_slab_take(struct http_server *server)
{
    struct http_conn *conn = server->free_conns;
    if (conn)
        server->free_conns = conn->next;
    else if (server->slots_used < server->options.conns_max)
        conn = lay_out_slot(server, server->slots_used++);
    if (conn) server->stats.conns_open++;
    return conn;
}

void http_slab_give(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    ASSERT(conn->state == HTTP_CONN_CLOSED || conn->state == HTTP_CONN_FREE);
    ASSERT(!conn->is_queued && !conn->is_driven);
    http_slab_trim(conn);
    conn->state = HTTP_CONN_FREE;
    conn->magic = 0;
    conn->next = server->free_conns;
    server->free_conns = conn;
    server->stats.conns_open--;
}

void http_slab_trim(struct http_conn *conn)
{
    if (conn->in_high + conn->arena_high + conn->out_high <= HTTP_KEEP_PER_CONN) return;
    discard(conn->in, conn->in_high, PAGE);
    discard(conn->arena.base, conn->arena_high, PAGE);
    discard(conn->out, conn->out_high, 0);
    conn->in_high = conn->arena_high = conn->out_high = 0;
}

struct http_large *http_slab_take_large(struct http_server *server)
{
    struct http_large *large = server->free_larges;
    if (large) server->free_larges = large->next_free;
    return large;
}

void http_slab_give_large(struct http_server *server, struct http_large *large, size_t body_len)
{
    discard(large->body, body_len, 0);
    discard(large->arena.base, large->arena.used, HTTP_KEEP_PER_CONN);
    arena_reset(&large->arena);
    large->next_free = server->free_larges;
    server->free_larges = large;
}
