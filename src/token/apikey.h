#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* API keys (contract section 7). The secret's text:
 *
 *     adt_<class>_<id>_<random><checksum>
 *      class    partner | publisher | adserver | admin
 *      id       12 characters of [0-9a-z], public: how `key list` and `key revoke` name the key
 *      random   43 characters of base64url: 256 bits
 *      checksum 6 characters [0-9a-z], from a hash of all before it, so that secret scanners can
 *               tell a leaked key from a random text; it grants nothing
 *
 * The server stores only hash_secret() of the whole text. Secrets imported from a vendor have any
 * text of APIKEY_IMPORT_MIN..APIKEY_SECRET_MAX visible ASCII characters. */

enum apikey_class { APIKEY_PARTNER, APIKEY_PUBLISHER, APIKEY_ADSERVER, APIKEY_ADMIN, APIKEY_COUNT };

enum {
    APIKEY_ID_LEN = 12,
    APIKEY_RANDOM_SIZE = 32,
    APIKEY_SECRET_MAX = 256,
    APIKEY_IMPORT_MIN = 16,
};

struct span apikey_class_name(enum apikey_class cls);
bool apikey_class_of(struct span name, enum apikey_class *out);

/* `entropy` is APIKEY_ID_LEN + APIKEY_RANDOM_SIZE random bytes. Writes the id and the secret. */
void apikey_make(char id[APIKEY_ID_LEN], struct writer *secret, enum apikey_class cls,
                 const uint8_t entropy[APIKEY_ID_LEN + APIKEY_RANDOM_SIZE]);

/* A fresh id alone, for an imported secret. `entropy` is APIKEY_ID_LEN random bytes. */
void apikey_make_id(char id[APIKEY_ID_LEN], const uint8_t entropy[APIKEY_ID_LEN]);

bool apikey_importable(struct span secret);

/* Whether a text has the form and the checksum of a key that apikey_make made. */
bool apikey_well_formed(struct span secret);
