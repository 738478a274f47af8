#pragma once

#include "api/api.h"
#include "cli/listeners.h"
#include "http/http.h"

/* The threads that serve connections, one event loop each.
 *
 *     loops_start ──▶ STARTING ──loops_activate──▶ SERVING ──loops_drain──▶ DRAINING ──▶ ENDED
 *                     503, "starting"              the api                  what was accepted
 *
 * With listeners that are held for us (listeners.h) STARTING answers nobody, and loops_drain first
 * takes a second to lead clients to new connections, which wait for the next server.
 *
 * All functions belong to the thread that starts them; what has to happen on a loop's thread is
 * ordered from here and waited for. */

struct loops;

/* One loop per listener, whose sockets move to them. `http` is copied; its handler is not used.
 * `is_sandboxed`: their threads begin with sandbox_no_files. */
enum err loops_start(struct loops **out, struct listeners *listeners,
                     const struct http_options *http, bool is_sandboxed);

/* From here on requests are the api's. Where the process may make connections, loops that are
 * sandboxed give that right up. An error leaves some loops starting: end the process. */
enum err loops_activate(struct loops *loops, struct api *api, bool process_connects);

/* After activation: api_loop_adopt and http_server_configure on every loop. */
void loops_configure(struct loops *loops, const struct http_options *http);

/* Answers what was accepted, then ends the threads. */
void loops_drain(struct loops *loops);

/* After loops_drain, and after ledger_stop: the ledger's thread may still be about to ring a loop
 * that has taken the answer already. */
void loops_free(struct loops *loops);
