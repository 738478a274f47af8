#include "api/ad_token.h"

#include "base/uninitialized.h"
#include "event/query.h"

/* A writer over its own piece of the arena. */
static bool reserve(struct writer *out, struct arena *arena, size_t size)
{
    char *memory = arena_alloc(arena, size);
    writer_init(out, memory, memory ? size : 0);
    return memory != NULL;
}

enum query_found ad_token_find(struct span *token, struct span query, struct span parameter,
                               struct arena *arena)
{
    struct span raw;
    struct writer out;
    enum query_found found = query_find(query, parameter, &raw);
    *token = SPAN("");
    if (found == QUERY_ONCE && query_is_plain(raw))
        *token = raw;
    else if (found == QUERY_ONCE && reserve(&out, arena, raw.len) && query_decode(&out, raw))
        *token = writer_text(&out);
    return found;
}

static bool find_key(struct token_key *key, struct span token, struct keyring *keyring)
{
    UNINITIALIZED char memory[PASETO_FOOTER_MAX];
    struct writer footer;
    writer_init(&footer, memory, sizeof memory);
    if (!paseto_footer(&footer, token)) return false;
    struct span kid = footer_kid(writer_text(&footer));
    return kid.ptr && keyring_token_key(keyring, kid, key);
}

bool ad_token_open(struct claims *claims, const struct api_request *request, struct span token,
                   enum purpose purpose)
{
    const struct api_loop *loop = request->loop;
    struct arena *arena = request->http->arena;
    struct token_key key;
    struct writer json;
    if (!find_key(&key, token, loop->api->keyring) || !reserve(&json, arena, token.len))
        return false;
    bool authentic = paseto_decrypt(&json, &key.key, token, purpose_assertion(purpose));
    hash_wipe(&key, sizeof key);
    return authentic && claims_read(claims, writer_text(&json), purpose, arena, loop->json_seed);
}

bool ad_token_of_query(struct claims *claims, const struct api_request *request,
                       struct span parameter, enum purpose purpose)
{
    struct span token;
    const struct http_request *http = request->http;
    return ad_token_find(&token, http->query, parameter, http->arena) == QUERY_ONCE &&
           ad_token_open(claims, request, token, purpose);
}

struct ad_facts ad_token_facts(const struct claims *claims)
{
    return (struct ad_facts){
        .bid_id = claims->bid,
        .advertiser_id = claims->adv,
        .publisher_id = claims->pub,
        .campaign_id = claims->cam,
        .product_id = claims->prd,
        .creative_id = claims->crt,
        .user_id = claims->usr,
        .session_id = claims->ses,
        .placement = claims->plc,
        .price = claims->prc,
        .currency = claims->cur,
        .pricing = claims->mod,
    };
}
