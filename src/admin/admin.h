#pragma once

#include "api/api.h"
#include "base/err.h"
#include "base/writer.h"
#include "ledger/ledger.h"

#include <stdbool.h>

/* Administration: commands as one JSON object in, one JSON object out, so that a running server
 * answers over DIR/admin.sock exactly what a command that opens DIR itself would do.
 *
 *   {"command":"key_create","class":"partner","partner_id":"p","label":"l","expires":"..."}
 *     -> {"ok":true,"id":"...","secret":"..."}
 *   {"command":"key_list"} {"command":"key_revoke","id":"..."}
 *   {"command":"token_key_list"} {"command":"token_key_rotate"}
 *   {"command":"token_key_retire","kid":"..."} {"command":"token_key_export","kid":"..."}
 *   {"command":"poll_put","poll":{...}} {"command":"poll_list"}
 *   {"command":"poll_withdraw","sponsored_poll_id":123}
 *   {"command":"mint","request":{...}}
 *   {"command":"tail","route":"...","outcome":"...","partner":"...","campaign":"..."}
 *     -> {"ok":true}, then lines (api/tail.h) until the connection ends
 *   {"command":"import","rows":[{...},...]}    (docs/import.md)
 *     -> {"ok":true,"outcomes":"rd..."}: a letter for each, enum import_outcome
 *   {"command":"erase","table":"click","rows":[17,...],"key":"32 hex digits","last":false}
 *     -> {"ok":true,"erased":1}
 *   {"command":"reload"} -> {"ok":true,"changed":["rate_limit"],"waiting":["threads"]}
 *     -> {"ok":false,"error":"one sentence that says what to do"} whenever it did not work
 */

enum { ADMIN_REQUEST_MAX = 2 * 1024 * 1024, ADMIN_ANSWER_MAX = 20 * 1024 * 1024 };

struct admin {
    struct ledger *ledger;
    struct api *api;
    const char *dir;             /* the data directory */
    const char *url;             /* of the database that holds the store; NULL: `dir` does */
    struct process *process;     /* NULL: nothing is known of it */
    bool can_stream;             /* the admin socket's: a command may open a stream */
    struct tail_watcher *opened; /* which the socket takes over once the command is answered */
    /* Reads the configuration again and appends the answer; NULL: no server runs. */
    void (*reload)(void *reload_owner, struct writer *answer);
    void *reload_owner;
    struct span listen_host; /* host:port for minted URLs when there is no public_url */
};

/* Runs one command; appends the answer. Any thread but a loop's: it waits for the ledger. */
void admin_execute(struct admin *admin, struct span request, struct writer *answer);

/* The socket: a thread that accepts on DIR/admin.sock (mode 0600), reads one request up to the end
 * of input of the client (5 s at most), executes it, answers and closes. */
struct admin_socket;
enum err admin_socket_start(struct admin_socket **out, const char *dir, struct admin *admin);
void admin_socket_stop(struct admin_socket *socket);

/* Whether somebody serves `dir` now. */
bool admin_socket_is_served(const char *dir);

/* The other side: sends a request to whoever serves `dir`. ERR_NOT_FOUND: nobody listens there. */
enum err admin_socket_call(const char *dir, struct span request, struct writer *answer);

/* The same for a command that goes on: each line, without its end, as it comes; `on_line` returns
 * false to end it. ERR_OK: it ended, or the server closed it. */
typedef bool admin_on_line(struct span line, void *arg);
enum err admin_socket_follow(const char *dir, struct span request, admin_on_line *on_line,
                             void *arg);
