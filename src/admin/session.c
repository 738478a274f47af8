#include "admin/session.h"

#include "base/rng.h"
#include "base/writer.h"
#include "token/hash.h"

static bool is_live(const struct session *session, int64_t now_ms)
{
    return session->key && now_ms < session->ends_at_ms;
}

static struct session *make_room(struct sessions *sessions)
{
    struct session *first = &sessions->list[0];
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->list[i];
        if (!session->key) return session;
        if (session->ends_at_ms < first->ends_at_ms) first = session;
    }
    return first;
}

void session_start(struct sessions *sessions, const struct api_key *key, int64_t now_ms,
                   char token[SESSION_TOKEN_LEN])
{
    uint8_t random[SESSION_TOKEN_LEN / 2];
    struct writer out;
    struct session *session = make_room(sessions);
    rng_fill(random, sizeof random);
    *session = (struct session){
        .key = key, .ends_at_ms = now_ms + SESSION_LIFE_MS, .serial = ++sessions->count};
    writer_init(&out, session->token, sizeof session->token);
    writer_hex(&out, random, sizeof random);
    memcpy(token, session->token, sizeof session->token);
    hash_wipe(random, sizeof random);
}

struct session *session_find(struct sessions *sessions, struct span token, int64_t now_ms)
{
    struct session *found = NULL;
    if (token.len != SESSION_TOKEN_LEN) return NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->list[i];
        if (hash_equal(session->token, token.ptr, SESSION_TOKEN_LEN) && is_live(session, now_ms))
            found = session;
    }
    return found;
}

struct session *session_of_serial(struct sessions *sessions, uint64_t serial, int64_t now_ms)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->list[i];
        if (session->serial == serial && is_live(session, now_ms)) return session;
    }
    return NULL;
}

void session_end(struct session *session)
{
    hash_wipe(session, sizeof *session);
}
