#include "api/ad_token.h"

#include "event/query.h"

/* A writer over its own piece of the arena. */
static bool reserve(struct writer *out, struct arena *arena, size_t size)
{
    char *memory = arena_alloc(arena, size);
    writer_init(out, memory, memory ? size : 0);
    return memory != NULL;
}

static bool find_token(struct span *token, const struct http_request *http, struct span parameter)
{
    struct span raw;
    struct writer out;
    if (query_find(http->query, parameter, &raw) != QUERY_ONCE) return false;
    if (!reserve(&out, http->arena, raw.len) || !query_decode(&out, raw)) return false;
    *token = writer_text(&out);
    return true;
}

static bool find_key(struct token_key *key, struct span token, struct keyring *keyring)
{
    char memory[PASETO_FOOTER_MAX];
    struct writer footer;
    writer_init(&footer, memory, sizeof memory);
    if (!paseto_footer(&footer, token)) return false;
    struct span kid = footer_kid(writer_text(&footer));
    return kid.ptr && keyring_token_key(keyring, kid, key);
}

bool ad_token_open(struct claims *claims, const struct api_request *request, struct span parameter,
                   enum purpose purpose)
{
    const struct api_loop *loop = request->loop;
    struct arena *arena = request->http->arena;
    struct span token;
    struct token_key key;
    struct writer json;
    if (!find_token(&token, request->http, parameter) ||
        !find_key(&key, token, loop->api->keyring) || !reserve(&json, arena, token.len))
        return false;
    bool authentic = paseto_decrypt(&json, &key.key, token, purpose_assertion(purpose));
    hash_wipe(&key, sizeof key);
    return authentic && claims_read(claims, writer_text(&json), purpose, arena, loop->json_seed);
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
