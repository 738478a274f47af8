#pragma once

#include "base/span.h"
#include "store/keys.h"

#include <stdint.h>

/* Who signed in to the admin listener with a key and keeps a cookie instead of it. In memory only:
 * a restart signs everybody out. Of one thread. */

enum {
    SESSIONS_MAX = 64, /* the one that ends first makes room */
    SESSION_TOKEN_LEN = 64,
    SESSION_LIFE_MS = 12 * 60 * 60 * 1000,
};

struct session {
    const struct api_key *key; /* NULL: free. Whether it is still valid is for the keyring to say */
    int64_t ends_at_ms;        /* monotonic */
    uint64_t serial;           /* of all sessions that were ever started, from 1 */
    char token[SESSION_TOKEN_LEN];
};

struct sessions {
    struct session list[SESSIONS_MAX];
    uint64_t count;
};

/* Zeroed to begin with. `token` is what the cookie says. */
void session_start(struct sessions *sessions, const struct api_key *key, int64_t now_ms,
                   char token[SESSION_TOKEN_LEN]);

/* NULL: there is none, or it has ended. Compared in constant time, with all of them. */
struct session *session_find(struct sessions *sessions, struct span token, int64_t now_ms);
struct session *session_of_serial(struct sessions *sessions, uint64_t serial, int64_t now_ms);
void session_end(struct session *session);
