#include "api/mint.h"
#include "base/limits.h"
#include "base/rng.h"
#include "event/datetime.h"
#include "json/write.h"

/* The minting half of mint.h: claims in, URLs out. */

enum {
    CLAIMS_FRAME_MAX = 256, /* names, quotes, a bid made here, exp */
    AD_FRAME_MAX = 512,     /* names and paths of the answer */
    FOOTER_MAX = 64,
    PURPOSES_MINTED = 6,
};

struct minter {
    const struct mint_base *base;
    struct token_key key;
    char footer_memory[FOOTER_MAX];
    struct span footer;
};

static void start_minter(struct minter *minter, const struct mint_base *base,
                         struct keyring *keyring)
{
    struct writer footer;
    minter->base = base;
    keyring_minting_key(keyring, &minter->key);
    writer_init(&footer, minter->footer_memory, sizeof minter->footer_memory);
    footer_write(&footer, (struct span){minter->key.kid, sizeof minter->key.kid});
    minter->footer = writer_text(&footer);
}

/* Appends a token; false: its claims alone are longer than a URL may be. */
static bool write_token(struct writer *out, const struct minter *minter,
                        const struct claims *claims, enum purpose purpose,
                        const uint8_t nonce[PASETO_NONCE_SIZE])
{
    char memory[LIMIT_MINTED_URL];
    struct writer json;
    writer_init(&json, memory, sizeof memory);
    claims_write(&json, claims, purpose);
    if (json.overflow) return false;
    paseto_encrypt(out, &minter->key.key, nonce, writer_text(&json), minter->footer,
                   purpose_assertion(purpose));
    return true;
}

static size_t begin_url(struct writer *out, const struct minter *minter, struct span member,
                        struct span path)
{
    json_write_comma(out);
    json_write_key(out, member);
    writer_char(out, '"');
    size_t start = out->len;
    writer_put(out, minter->base->scheme);
    writer_put(out, minter->base->host);
    writer_put(out, path);
    return start;
}

static bool end_url(struct writer *out, size_t start)
{
    bool fits = out->len - start <= LIMIT_MINTED_URL;
    writer_char(out, '"');
    return fits;
}

/* The URL with a token of its own; where that token stands is `*token`. */
static bool write_url(struct writer *out, const struct minter *minter, struct span member,
                      struct span path, const struct claims *claims, enum purpose purpose,
                      const uint8_t *nonce, struct span *token)
{
    size_t start = begin_url(out, minter, member, path);
    size_t token_start = out->len;
    if (!write_token(out, minter, claims, purpose, nonce)) return false;
    *token = (struct span){out->base + token_start, out->len - token_start};
    return end_url(out, start);
}

static bool write_same(struct writer *out, const struct minter *minter, struct span member,
                       struct span path, struct span token)
{
    size_t start = begin_url(out, minter, member, path);
    writer_put(out, token);
    return end_url(out, start);
}

/* The ad's poll: question, options, and the way to its call to action, which is the ad's own
 * redirect when the ad has no other landing URL. */
static bool write_poll(struct writer *out, const struct minter *minter, const struct mint_ad *ad,
                       struct span click_token, const uint8_t *nonce)
{
    static const char path[] = "/api/v1/tracking/redirect?token=";
    const struct poll *poll = ad->poll;
    struct claims claims = ad->claims;
    struct span token;
    bool fits = true;
    json_write_comma(out);
    json_write_key(out, SPAN("poll"));
    writer_char(out, '{');
    json_write_text_member(out, SPAN("question"), poll->question);
    writer_lit(out, ",\"options\":[");
    for (uint32_t i = 0; i < poll->options_count; i++) {
        json_write_comma(out);
        writer_char(out, '{');
        json_write_text_member(out, SPAN("id"), poll->options[i].id);
        json_write_text_member(out, SPAN("text"), poll->options[i].text);
        writer_char(out, '}');
    }
    writer_char(out, ']');
    if (poll->cta_url.ptr && !ad->claims.url.ptr) {
        fits = write_same(out, minter, SPAN("cta_url"), span_of(path), click_token);
    } else if (poll->cta_url.ptr) {
        claims.url = poll->cta_url;
        fits = write_url(out, minter, SPAN("cta_url"), span_of(path), &claims, PURPOSE_CLICK, nonce,
                         &token);
    }
    writer_char(out, '}');
    return fits;
}

static bool write_poll_urls(struct writer *out, const struct minter *minter,
                            const struct claims *claims, uint8_t nonces[][PASETO_NONCE_SIZE])
{
    struct span token;
    return write_url(out, minter, SPAN("vote_url"),
                     SPAN("/api/v1/tracking/sponsored-polls/vote?token="), claims, PURPOSE_VOTE,
                     nonces[0], &token) &&
           write_url(out, minter, SPAN("results_url"),
                     SPAN("/api/v1/tracking/sponsored-polls/results?token="), claims,
                     PURPOSE_RESULTS, nonces[1], &token);
}

static bool write_urls(struct writer *out, const struct minter *minter, const struct mint_ad *ad,
                       uint8_t nonces[PURPOSES_MINTED][PASETO_NONCE_SIZE])
{
    struct claims claims = ad->claims;
    struct span token, click = SPAN_NONE;
    if (!claims.url.ptr && ad->poll) claims.url = ad->poll->cta_url;
    if (!write_url(out, minter, SPAN("view_url"), SPAN("/api/v1/tracking/view?token="), &claims,
                   PURPOSE_VIEW, nonces[0], &token))
        return false;
    if (claims.url.ptr &&
        !write_url(out, minter, SPAN("url"), SPAN("/api/v1/tracking/redirect?token="), &claims,
                   PURPOSE_CLICK, nonces[1], &click))
        return false;
    if (!write_url(out, minter, SPAN("impUrl"), SPAN("/ack?p="), &claims, PURPOSE_ACK, nonces[2],
                   &token))
        return false;
    if (click.ptr && !write_same(out, minter, SPAN("clickUrl"), SPAN("/track/click?p="), click))
        return false;
    return !ad->poll || (write_poll_urls(out, minter, &claims, &nonces[3]) &&
                         write_poll(out, minter, ad, click, nonces[5]));
}

static bool write_ad(struct writer *out, const struct minter *minter, const struct mint_ad *ad)
{
    uint8_t nonces[PURPOSES_MINTED][PASETO_NONCE_SIZE];
    rng_fill(nonces, sizeof nonces);
    json_write_comma(out);
    writer_char(out, '{');
    json_write_text_member(out, SPAN("bidId"), ad->claims.bid);
    writer_lit(out, ",\"expires_at\":\"");
    datetime_write(out, ad->claims.exp_ms);
    writer_char(out, '"');
    bool fits = write_urls(out, minter, ad, nonces);
    writer_char(out, '}');
    return fits;
}

size_t mint_answer_max(size_t ad_len, const struct mint_base *base)
{
    size_t claims_max = ad_len + CLAIMS_FRAME_MAX;
    size_t url_max =
        base->scheme.len + base->host.len + paseto_encrypted_len(claims_max, FOOTER_MAX);
    return 4 * url_max + ad_len + AD_FRAME_MAX;
}

bool mint_write(struct writer *out, const struct mint_ads *ads, const struct mint_base *base,
                struct keyring *keyring)
{
    struct minter minter;
    bool all_fit = true;
    start_minter(&minter, base, keyring);
    writer_lit(out, "{\"ads\":[");
    for (uint32_t i = 0; i < ads->count; i++) {
        struct mint_ad *ad = &ads->ads[i];
        ad->url_too_long = !write_ad(out, &minter, ad) && !out->overflow;
        all_fit = all_fit && !ad->url_too_long;
    }
    writer_lit(out, "]}");
    hash_wipe(&minter.key, sizeof minter.key);
    return all_fit;
}
