#include "unit.h"

#include "base/writer.h"
#include "token/base64url.h"
#include "token/hash.h"
#include "token/paseto.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Test vectors of others, from the folder $ADTALLY_VECTORS: the PASETO specification's v4 set, and
 * Wycheproof's for HMAC-SHA256. Without the folder the tests are skipped.
 *
 * Wycheproof's xchacha20_poly1305_test.json is left out: it is about an AEAD with Poly1305, and a
 * v4.local token is XChaCha20 with a BLAKE2b MAC. There is no function here that those vectors
 * could go through. */

static json_t *load_vectors(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("ADTALLY_VECTORS"), name);
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    return root;
}

/* Absent when there is no such member, or it is null. */
static struct span member_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return (struct span){json_string_value(value), json_string_length(value)};
}

struct bytes {
    uint8_t at[4096];
    size_t size;
};

static void read_hex(struct bytes *out, struct span hex)
{
    assert_true(hex.ptr && hex.len % 2 == 0 && hex.len / 2 <= sizeof out->at);
    out->size = hex.len / 2;
    for (size_t i = 0; i < out->size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex.ptr + 2 * i, "%2x", &byte), 1);
        out->at[i] = (uint8_t)byte;
    }
}

/* A key of a vector as its owner would hand it over: as text that says what it is for. */
static bool read_key(struct paseto_key *key, const char *type, struct span hex)
{
    struct bytes bytes;
    char memory[128];
    struct writer text;
    read_hex(&bytes, hex);
    writer_init(&text, memory, sizeof memory);
    writer_put(&text, span_of(type));
    base64url_encode(&text, bytes.at, bytes.size);
    assert_false(text.overflow);
    return paseto_key_read(key, writer_text(&text));
}

static bool decrypt_vector(struct writer *out, const json_t *vector, const struct paseto_key *key)
{
    return paseto_decrypt(out, key, member_text(vector, "token"),
                          member_text(vector, "implicit-assertion"));
}

static void check_valid(const json_t *vector)
{
    char token_memory[1024], memory[1024];
    struct bytes nonce;
    struct paseto_key key;
    struct writer token, out;
    assert_true(read_key(&key, "k4.local.", member_text(vector, "key")));
    read_hex(&nonce, member_text(vector, "nonce"));
    assert_int_equal(nonce.size, PASETO_NONCE_SIZE);
    writer_init(&token, token_memory, sizeof token_memory);
    paseto_encrypt(&token, &key, nonce.at, member_text(vector, "payload"),
                   member_text(vector, "footer"), member_text(vector, "implicit-assertion"));
    assert_false(token.overflow);
    assert_true(span_eq(writer_text(&token), member_text(vector, "token")));

    writer_init(&out, memory, sizeof memory);
    assert_true(decrypt_vector(&out, vector, &key));
    assert_true(span_eq(writer_text(&out), member_text(vector, "payload")));
    out.len = 0;
    assert_true(paseto_footer(&out, member_text(vector, "token")));
    assert_true(span_eq(writer_text(&out), member_text(vector, "footer")));
}

/* A local key must not open the token. Keys of v4.public must not even become a local key: 4-F-1 is
 * a token made with the 32 bytes of a public key, and to whoever takes bare bytes it is authentic.
 */
static void check_refused(const json_t *vector)
{
    struct span local = member_text(vector, "key");
    struct span public = member_text(vector, "public-key");
    struct paseto_key key = {{0}};
    char memory[1024];
    struct writer out;
    assert_true(local.ptr || public.ptr);
    writer_init(&out, memory, sizeof memory);
    if (public.ptr) {
        assert_false(read_key(&key, "k4.public.", public));
        assert_false(read_key(&key, "k4.secret.", member_text(vector, "secret-key")));
    } else {
        assert_true(read_key(&key, "k4.local.", local));
    }
    assert_false(decrypt_vector(&out, vector, &key));
    assert_int_equal(out.len, 0);
}

static bool is_prefixed(const json_t *vector, const char *prefix)
{
    return span_starts_with(member_text(vector, "name"), span_of(prefix));
}

/* 4-E-*: encrypted; 4-S-*: signed, which is another purpose, and so refused; 4-F-*: must fail. */
static void paseto_vectors(void **state)
{
    (void)state;
    json_t *root = load_vectors("paseto-v4.json");
    size_t i, valid = 0, must_fail = 0, of_another_purpose = 0;
    json_t *vector;
    json_array_foreach(json_object_get(root, "tests"), i, vector)
    {
        print_message("# %s\n", member_text(vector, "name").ptr);
        if (is_prefixed(vector, "4-E-")) {
            check_valid(vector);
            valid++;
        } else {
            check_refused(vector);
            if (json_is_true(json_object_get(vector, "expect-fail")))
                must_fail++;
            else
                of_another_purpose++;
        }
    }
    assert_int_equal(valid, 9);
    assert_int_equal(must_fail, 5);
    assert_int_equal(of_another_purpose, 3);
    json_decref(root);
}

/* A truncated tag is compared over its own length. */
static void check_hmac(const json_t *test, size_t tag_size)
{
    struct bytes key, message, tag;
    struct hash_hmac_key ready;
    uint8_t mac[HASH_HMAC_SIZE];
    read_hex(&key, member_text(test, "key"));
    read_hex(&message, member_text(test, "msg"));
    read_hex(&tag, member_text(test, "tag"));
    hash_hmac_prepare(&ready, (struct span){(const char *)key.at, key.size});
    hash_hmac_sha256(mac, &ready, (struct span){(const char *)message.at, message.size});
    bool equal =
        tag.size == tag_size && tag.size <= sizeof mac && hash_equal(mac, tag.at, tag.size);
    bool valid = span_eq(member_text(test, "result"), SPAN("valid"));
    if (equal != valid) fail_msg("tcId %lld", json_integer_value(json_object_get(test, "tcId")));
}

static void wycheproof_hmac_sha256(void **state)
{
    (void)state;
    json_t *root = load_vectors("wycheproof/testvectors_v1/hmac_sha256_test.json");
    size_t i, j, count = 0;
    json_t *group, *test;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_int_t tag_bits = json_integer_value(json_object_get(group, "tagSize"));
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            check_hmac(test, (size_t)tag_bits / 8);
            count++;
        }
    }
    assert_int_equal(count, json_integer_value(json_object_get(root, "numberOfTests")));
    assert_true(count >= 174);
    json_decref(root);
}

/* cmocka's own skip() prints "not ok", which Meson takes for a failure. */
static bool have_vectors(void)
{
    const char *folder = getenv("ADTALLY_VECTORS");
    return folder && access(folder, R_OK | X_OK) == 0;
}

int main(void)
{
    if (!have_vectors()) {
        puts("1..0 # SKIP the folder $ADTALLY_VECTORS is not there");
        return 0;
    }
    if (!hash_start()) return 1;
    UNIT_ADD(paseto_vectors);
    UNIT_ADD(wycheproof_hmac_sha256);
    return UNIT_RUN_ADDED("token_vectors");
}
