#include "sink/sign.h"

#include "base/secret.h"
#include "sink/post.h"
#include "token/base64url.h"
#include "token/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Standard Webhooks asks for 24 to 64 bytes. */
enum { SECRET_MIN = 24, SECRET_MAX = 64, BASE64_MAX = 96 };

struct signer {
    struct hash_hmac_key keys[SIGNER_SECRETS_MAX];
    unsigned count;
};

/* The alphabet of base64 and that of base64url differ in two characters, and in the padding. */
static bool decode_secret(struct writer *out, struct span text)
{
    char plain[BASE64_MAX];
    if (!span_starts_with(text, SPAN("whsec_"))) return false;
    text = (struct span){text.ptr + 6, text.len - 6};
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    if (text.len > sizeof plain) return false;
    for (size_t i = 0; i < text.len; i++)
        plain[i] = text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i];
    bool is_good = base64url_decode(out, (struct span){plain, text.len});
    hash_wipe(plain, sizeof plain);
    return is_good && out->len >= SECRET_MIN;
}

static bool add_secret(struct signer *signer, struct span line)
{
    char bytes[SECRET_MAX];
    struct writer out;
    writer_init(&out, bytes, sizeof bytes);
    bool is_good = signer->count < SIGNER_SECRETS_MAX && decode_secret(&out, line);
    if (is_good) hash_hmac_prepare(&signer->keys[signer->count++], writer_text(&out));
    hash_wipe(bytes, sizeof bytes);
    return is_good;
}

struct signer *signer_open(struct span secret_file, struct sink_failure *failure)
{
    char *text = post_read_secret(secret_file, failure);
    struct signer *signer = text ? secret_new(sizeof *signer) : NULL;
    struct span rest = span_of(signer ? text : NULL);
    bool is_good = signer;
    while (rest.ptr && is_good) {
        struct span line = span_trim(span_split(&rest, '\n'));
        if (line.len > 0 && line.ptr[0] != '#') is_good = add_secret(signer, line);
    }
    post_wipe(text);
    if (is_good && signer->count > 0) return signer;
    if (text) sink_fail(failure, "secret_file holds no line whsec_... of 24 to 64 bytes");
    signer_close(signer);
    return NULL;
}

void signer_close(struct signer *signer)
{
    secret_free(signer, sizeof *signer);
}

static void write_base64(struct writer *out, const uint8_t hash[HASH_HMAC_SIZE])
{
    size_t from = out->len;
    base64url_encode(out, hash, HASH_HMAC_SIZE);
    for (size_t i = from; i < out->len; i++) {
        if (out->base[i] == '-') out->base[i] = '+';
        if (out->base[i] == '_') out->base[i] = '/';
    }
    while ((out->len - from) % 4)
        writer_char(out, '=');
}

bool signer_sign(const struct signer *signer, struct span id, int64_t timestamp_s, struct span body,
                 char out[SIGNATURES_SIZE])
{
    struct writer message, signatures;
    size_t size = id.len + body.len + 32;
    char *memory = malloc(size);
    if (!memory) return false;
    writer_init(&message, memory, size);
    writer_put(&message, id);
    writer_char(&message, '.');
    writer_i64(&message, timestamp_s);
    writer_char(&message, '.');
    writer_put(&message, body);
    writer_init(&signatures, out, SIGNATURES_SIZE - 1);
    for (unsigned i = 0; i < signer->count; i++) {
        uint8_t hash[HASH_HMAC_SIZE];
        hash_hmac_sha256(hash, &signer->keys[i], writer_text(&message));
        if (i) writer_char(&signatures, ' ');
        writer_lit(&signatures, "v1,");
        write_base64(&signatures, hash);
    }
    out[signatures.len] = '\0';
    free(memory);
    return !message.overflow && !signatures.overflow;
}
