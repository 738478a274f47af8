#pragma once

#include "base/span.h"
#include "token/apikey.h"
#include "token/hash.h"
#include "token/paseto.h"
#include "token/receipt.h"

#include <stdint.h>

/* An API key as it is stored: never its secret. */
struct api_key {
    struct span id; /* APIKEY_ID_LEN characters */
    enum apikey_class cls;
    struct span label;
    struct span partner_id;    /* partner keys */
    struct span publisher_id;  /* publisher keys */
    struct span advertiser_id; /* partner keys bound to one, else absent */
    struct span tag_id;        /* a partner key's own tag, else absent */
    uint8_t hash[HASH_SIZE];   /* hash_secret with secrets.pepper */
    int64_t created_at_ms;
    int64_t expires_at_ms; /* 0: never */
    int64_t revoked_at_ms; /* 0: not revoked */
};

enum { TOKEN_KEYS_MAX = 64, TOKEN_KID_LEN = 8 };

struct token_key {
    char kid[TOKEN_KID_LEN]; /* [0-9a-z] */
    struct paseto_key key;
    int64_t created_at_ms;
};

/* A fresh one from random bytes. */
void token_key_generate(struct token_key *key, int64_t now_ms);

/* What must stay secret and the same for the life of a data directory. Kept apart from the events,
 * which users are invited to read. */
struct secrets {
    uint8_t pepper[HASH_KEY_SIZE];               /* keys the hashes of API keys */
    uint8_t receipt_key[RECEIPT_KEY_SIZE];       /* adtally-receipt */
    uint8_t click_signing_key[32];               /* thrad_sig */
    struct token_key token_keys[TOKEN_KEYS_MAX]; /* oldest first; the last one mints */
    uint32_t token_keys_count;
};

/* Fills in fresh random ones with one token key. */
void secrets_generate(struct secrets *secrets, int64_t now_ms);
