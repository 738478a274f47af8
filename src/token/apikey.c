#include "token/apikey.h"

#include "token/base64url.h"
#include "token/hash.h"

#include <string.h>

enum { CHECKSUM_LEN = 6, RANDOM_LEN = 43 };

#define PREFIX SPAN("adt_")

static const char *const class_names[APIKEY_COUNT] = {
    [APIKEY_PARTNER] = "partner",
    [APIKEY_PUBLISHER] = "publisher",
    [APIKEY_ADSERVER] = "adserver",
    [APIKEY_ADMIN] = "admin",
};

struct span apikey_class_name(enum apikey_class cls)
{
    return span_of(class_names[cls]);
}

bool apikey_class_of(struct span name, enum apikey_class *out)
{
    for (int i = 0; i < APIKEY_COUNT; i++) {
        if (!span_eq(name, span_of(class_names[i]))) continue;
        *out = (enum apikey_class)i;
        return true;
    }
    return false;
}

/* The lowest digits of `value`, all of them digits of an id or a checksum. */
static void write_base36(char *out, size_t len, uint64_t value)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (; len > 0; len--, value /= 36)
        out[len - 1] = digits[value % 36];
}

/* Each half of the id is six digits (31 bits) out of 48 random ones, which leaves no bias to see.
 */
void apikey_make_id(char id[APIKEY_ID_LEN], const uint8_t entropy[APIKEY_ID_LEN])
{
    for (size_t half = 0; half < 2; half++) {
        uint64_t value = 0;
        for (size_t i = 0; i < 6; i++)
            value = value << 8 | entropy[half * 6 + i];
        write_base36(id + half * 6, 6, value);
    }
}

/* A fixed key: anybody may check the checksum, which is what it is for. */
static void make_checksum(char out[CHECKSUM_LEN], struct span text)
{
    static const uint8_t key[] = {'a', 'd', 't', 'a', 'l', 'l', 'y', '-',
                                  'c', 'h', 'e', 'c', 'k', 's', 'u', 'm'};
    _Static_assert(sizeof key == HASH_FINGERPRINT_KEY_SIZE, "a SipHash key");
    write_base36(out, CHECKSUM_LEN, hash_fingerprint(key, text.ptr, text.len));
}

void apikey_make(char id[APIKEY_ID_LEN], struct writer *secret, enum apikey_class cls,
                 const uint8_t entropy[APIKEY_ID_LEN + APIKEY_RANDOM_SIZE])
{
    size_t start = secret->len;
    apikey_make_id(id, entropy);
    writer_put(secret, PREFIX);
    writer_put(secret, apikey_class_name(cls));
    writer_char(secret, '_');
    writer_put(secret, (struct span){id, APIKEY_ID_LEN});
    writer_char(secret, '_');
    base64url_encode(secret, entropy + APIKEY_ID_LEN, APIKEY_RANDOM_SIZE);
    if (secret->overflow) return;

    char checksum[CHECKSUM_LEN];
    make_checksum(checksum, (struct span){secret->base + start, secret->len - start});
    writer_put(secret, (struct span){checksum, sizeof checksum});
}

bool apikey_importable(struct span secret)
{
    if (secret.len < APIKEY_IMPORT_MIN || secret.len > APIKEY_SECRET_MAX) return false;
    for (size_t i = 0; i < secret.len; i++)
        if (secret.ptr[i] < '!' || secret.ptr[i] > '~') return false;
    return true;
}

static bool is_id(struct span text)
{
    if (text.len != APIKEY_ID_LEN) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z')) return false;
    }
    return true;
}

static bool is_random(struct span text)
{
    uint8_t bytes[APIKEY_RANDOM_SIZE];
    struct writer out;
    writer_init(&out, bytes, sizeof bytes);
    bool strict = text.len == RANDOM_LEN && base64url_decode(&out, text);
    hash_wipe(bytes, sizeof bytes);
    return strict;
}

bool apikey_well_formed(struct span secret)
{
    enum apikey_class cls;
    if (secret.len > APIKEY_SECRET_MAX || !span_starts_with(secret, PREFIX)) return false;
    struct span rest = {secret.ptr + PREFIX.len, secret.len - PREFIX.len};
    if (!apikey_class_of(span_split(&rest, '_'), &cls)) return false;
    if (!is_id(span_split(&rest, '_'))) return false;
    /* The random part may hold '_' itself: it is found by its length. */
    if (rest.len != RANDOM_LEN + CHECKSUM_LEN) return false;
    if (!is_random((struct span){rest.ptr, RANDOM_LEN})) return false;

    char checksum[CHECKSUM_LEN];
    make_checksum(checksum, (struct span){secret.ptr, secret.len - CHECKSUM_LEN});
    return memcmp(checksum, rest.ptr + RANDOM_LEN, CHECKSUM_LEN) == 0;
}
