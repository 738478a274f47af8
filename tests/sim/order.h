#pragma once

#include "ask.h"

#include "store/op.h"
#include "token/hash.h"

/* What people who run the server give it to do, as the command line makes an op of it. */

enum { KEY_ID_TEXT = APIKEY_ID_LEN + 1 };

/* The op points into the rest. */
struct order {
    struct op op;
    char key_id[KEY_ID_TEXT], ids[3][24];
    char texts[POLL_OPTIONS_MAX + 1][48];
    uint64_t erased[ERASE_MAX];
    uint8_t erase_key[ERASE_KEY_SIZE];
};

/* `text`: the kid of a token key, or the bid of an imported click. */
void order_fill(struct order *order, const struct ask *ask, const char *key_id, const char *text,
                const uint8_t pepper[HASH_KEY_SIZE]);
