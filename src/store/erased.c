#include "store/erased.h"

#include "base/assert.h"
#include "base/writer.h"
#include "token/hash.h"

static const struct erased_column tables[EVENT_TABLES][ERASED_COLUMNS_MAX] = {
    [OP_CLICK] = {{"user_id"}, {"session_id"}, {"client_address"}, {"user_agent"}},
    [OP_CONVERSION] =
        {{"page_url"}, {"referrer"}, {"user_agent"}, {"session_id"}, {"client_id"}, {"params"}},
    [OP_SERVER_EVENT] = {{"page_url"},
                         {"referrer"},
                         {"user_agent"},
                         {"session_id"},
                         {"client_id"},
                         {"consent"},
                         {"params", ERASED_OBJECT}},
    [OP_IMPRESSION] = {{"user_id"}, {"session_id"}, {"client_address"}, {"user_agent"}},
    [OP_FEEDBACK] = {{"feedback_text"}},
    [OP_AD_FEEDBACK] = {{"user_id"},
                        {"session_id"},
                        {"sent_user_id"},
                        {"comment"},
                        {"device"},
                        {"sent_session_id", ERASED_PSEUDONYM}},
    [OP_VOTE] = {{"user_id"}, {"session_id"}},
};

const struct erased_column *erased_columns(enum op_kind table)
{
    ASSERT(table <= OP_VOTE);
    return tables[table];
}

struct span erased_session(char text[PSEUDONYM_MAX], const struct erase *erase,
                           struct span publisher, struct span session)
{
    struct writer out;
    uint64_t name[2] = {hash_fingerprint(erase->key, session.ptr, session.len),
                        hash_fingerprint(erase->key, publisher.ptr, publisher.len)};
    uint64_t hash = hash_fingerprint(erase->key, name, sizeof name);
    writer_init(&out, text, PSEUDONYM_MAX);
    writer_lit(&out, "erased:");
    writer_hex(&out, &hash, sizeof hash);
    return writer_text(&out);
}
