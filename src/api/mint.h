#pragma once

#include "api/request.h"
#include "event/record.h"
#include "token/claims.h"

/* Minting (contract section 6): an ad of the request becomes claims, claims become the tokens and
 * URLs of the answer. */

enum {
    MINT_BASE_MAX = 2048, /* http://host of the URLs */
};

struct mint_ad {
    struct claims claims;    /* `url` is the ad's own landing URL */
    const struct poll *poll; /* NULL: none */
    bool url_too_long;
};

struct mint_ads {
    struct mint_ad *ads;
    uint32_t count;
};

/* Where URLs begin: `public_url`, else http:// and `host`. Nothing else goes into them unencoded.
 */
struct mint_base {
    struct span scheme, host;
};

/* Bytes that an answer for an ad of `ad_len` bytes of JSON may take at most. */
size_t mint_answer_max(size_t ad_len, const struct mint_base *base);

/* {"ads":[...]} in the order of the request. False: a URL would be too long, and those ads say so.
 * Overflow shows in the writer. */
bool mint_write(struct writer *out, const struct mint_ads *ads, const struct mint_base *base,
                struct keyring *keyring);
