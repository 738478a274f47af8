#include "token/base64url.h"
#include "token/claims.h"
#include "token/hash.h"
#include "token/paseto.h"
#include "token/receipt.h"

#include "event/uuid.h"
#include "fuzz.h"
#include "json_oracle.h"
#include "paseto_oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tokens and the ids beside them. What we seal is, byte for byte, what another implementation of
 * PASETO seals; it opens, and with any one character changed, dropped or added, or for another key
 * or purpose, it does not. Claims that are accepted are in the text that jansson reads, and come
 * back when written.
 *
 * Input: a byte that chooses one of the parts below, then what that part reads. */

enum { TEXT_MAX = 8192, MESSAGE_MAX = 2048 };

static char memory[3][TEXT_MAX];

/* -- sealing and opening -------------------------------------------------------------------- */

struct sealed {
    struct paseto_key key;
    uint8_t nonce[PASETO_NONCE_SIZE];
    struct span message, footer, assertion;
    struct span token;
};

static void fill(uint8_t *bytes, size_t size, uint8_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(seed * (i + 1) + (i >> 3));
}

static bool opens(const struct sealed *sealed, struct span token)
{
    struct writer out;
    writer_init(&out, memory[1], sizeof memory[1]);
    bool authentic = paseto_decrypt(&out, &sealed->key, token, sealed->assertion);
    require(authentic || out.len == 0, "a refused token leaves something behind");
    require(!authentic || span_eq(writer_text(&out), sealed->message), "another message");
    return authentic;
}

static void check_text(const struct sealed *sealed)
{
    static uint8_t raw[MESSAGE_MAX + PASETO_OVERHEAD];
    paseto_oracle_seal(raw, sealed->key.bytes, sealed->nonce, sealed->message, sealed->footer,
                       sealed->assertion);
    char *at = memory[1];
    memcpy(at, "v4.local.", 9);
    size_t len = 9 + oracle_base64url(at + 9, raw, sealed->message.len + PASETO_OVERHEAD);
    if (sealed->footer.len) {
        at[len++] = '.';
        len += oracle_base64url(at + len, (const uint8_t *)sealed->footer.ptr, sealed->footer.len);
    }
    require(span_eq(sealed->token, (struct span){at, len}),
            "another implementation seals otherwise");
    require(len == paseto_encrypted_len(sealed->message.len, sealed->footer.len), "another length");
}

/* One character changed to another, dropped, or doubled. */
static struct span change(struct span token, struct choices *from)
{
    char *text = memory[2];
    size_t at = choose_below(from, 65536) % token.len;
    uint8_t how = choose_byte(from), to = choose_byte(from);
    memcpy(text, token.ptr, token.len);
    if (how % 4 == 0) {
        memmove(text + at, text + at + 1, token.len - at - 1);
        return (struct span){text, token.len - 1};
    }
    if (how % 4 == 1) {
        memmove(text + at + 1, text + at, token.len - at);
        return (struct span){text, token.len + 1};
    }
    text[at] = (char)(to == (uint8_t)text[at] ? to + 1 : to);
    return (struct span){text, token.len};
}

static void check_changed(const struct sealed *sealed, struct choices *from)
{
    struct sealed other = *sealed;
    struct span changed = change(sealed->token, from);
    /* Doubling one of two equal neighbours, or dropping it, is still a change of length. */
    require(!opens(sealed, changed) && !lies("changed"), "a changed token opens");
    uint32_t bit = choose_below(from, 8 * PASETO_KEY_SIZE);
    other.key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    require(!opens(&other, sealed->token), "a token opens with another key");
    other = *sealed;
    other.assertion = span_eq(sealed->assertion, SPAN("adtally/view")) ? SPAN("adtally/ack")
                                                                       : SPAN("adtally/view");
    require(!opens(&other, sealed->token), "a token opens for another purpose");
}

static void fuzz_sealing(struct choices *from)
{
    struct sealed sealed;
    struct writer out;
    fill(sealed.key.bytes, sizeof sealed.key.bytes, choose_byte(from));
    fill(sealed.nonce, sizeof sealed.nonce, choose_byte(from));
    sealed.assertion = choose_text(from, 20);
    sealed.footer = choose_text(from, PASETO_FOOTER_MAX);
    struct choices changes = {from->at, from->left};
    sealed.message = choose_rest(from);
    if (sealed.message.len > MESSAGE_MAX) return;
    writer_init(&out, memory[0], sizeof memory[0]);
    paseto_encrypt(&out, &sealed.key, sealed.nonce, sealed.message, sealed.footer,
                   sealed.assertion);
    require(!out.overflow, "no room for a token");
    if (lies("sealed")) memory[0][out.len - 1] ^= 1;
    sealed.token = writer_text(&out);
    check_text(&sealed);
    require(opens(&sealed, sealed.token) && !lies("opened"), "what was sealed does not open");
    writer_init(&out, memory[1], sizeof memory[1]);
    require(paseto_footer(&out, sealed.token) && span_eq(writer_text(&out), sealed.footer),
            "another footer");
    check_changed(&sealed, &changes);
}

/* Any text: what opens is what we would have sealed, to the letter. */
static void fuzz_text(struct choices *from)
{
    struct paseto_key key;
    struct writer out, again;
    fill(key.bytes, sizeof key.bytes, choose_byte(from));
    struct span token = own_copy(choose_rest(from));
    char footer_memory[PASETO_FOOTER_MAX];
    struct writer footer;
    writer_init(&footer, footer_memory, sizeof footer_memory);
    writer_init(&out, memory[0], sizeof memory[0]);
    bool has_shape = paseto_footer(&footer, token);
    bool authentic = paseto_decrypt(&out, &key, token, SPAN("adtally/view"));
    require(has_shape || (footer.len == 0 && !authentic), "a token without the shape of one");
    if (authentic) {
        uint8_t nonce[ORACLE_NONCE_SIZE * 4];
        size_t size;
        oracle_unbase64url(nonce, &size, (struct span){token.ptr + 9, 44});
        writer_init(&again, memory[1], sizeof memory[1]);
        paseto_encrypt(&again, &key, nonce, writer_text(&out), writer_text(&footer),
                       SPAN("adtally/view"));
        require(span_eq(writer_text(&again), token), "a token has two spellings");
    }
    struct span kid = footer_kid(writer_text(&footer));
    require(!kid.ptr || (kid.len > 0 && kid.len <= CLAIMS_KID_MAX), "a kid out of bounds");
    own_free(token);
}

/* -- base64url, receipts, uuids, PASERK ------------------------------------------------------ */

static void check_decoding(struct span text)
{
    struct writer ours;
    size_t size;
    writer_init(&ours, memory[0], sizeof memory[0]);
    bool expected = oracle_unbase64url((uint8_t *)memory[1], &size, text);
    bool accepted = base64url_decode(&ours, text) ^ lies("base64url");
    require(accepted == expected, "another verdict on base64url");
    require(!accepted || span_eq(writer_text(&ours), (struct span){memory[1], size}),
            "base64url is decoded otherwise");
}

static void check_encoding(struct span bytes)
{
    struct writer ours;
    writer_init(&ours, memory[0], sizeof memory[0]);
    base64url_encode(&ours, bytes.ptr, bytes.len);
    size_t size = oracle_base64url(memory[1], (const uint8_t *)bytes.ptr, bytes.len);
    if (lies("encoding")) size++;
    require(span_eq(writer_text(&ours), (struct span){memory[1], size}), "another encoding");
}

static void fuzz_base64url(struct choices *from)
{
    struct span text = own_copy(choose_rest(from));
    if (text.len <= TEXT_MAX) check_decoding(text);
    if (text.len <= TEXT_MAX / 2) check_encoding(text);
    own_free(text);
}

static void check_receipt(struct span text, const uint8_t key[RECEIPT_KEY_SIZE])
{
    uint64_t sequence = 0, again = 0;
    char written[RECEIPT_LEN];
    bool is_hex = text.len == RECEIPT_LEN;
    for (size_t i = 0; i < text.len; i++)
        is_hex = is_hex && text.ptr[i] && strchr("0123456789abcdef", text.ptr[i]);
    bool accepted = receipt_read(&sequence, key, text) ^ lies("receipt");
    require(accepted == is_hex, "another verdict on a receipt");
    if (!accepted) return;
    receipt_write(written, key, sequence);
    require(span_eq(text, (struct span){written, sizeof written}), "a receipt has two spellings");
    receipt_write(written, key, sequence + 1);
    bool reads = receipt_read(&again, key, (struct span){written, sizeof written});
    require(reads && again == sequence + 1, "a receipt does not come back");
}

static void check_uuid(struct span text)
{
    struct uuid uuid;
    char written[UUID_TEXT_LEN], *copy = c_text(text);
    unsigned part[5];
    unsigned long long last;
    int end = 0;
    bool expected = text.len == UUID_TEXT_LEN && strspn(copy, "0123456789abcdef-") == text.len &&
                    sscanf(copy, "%8x-%4x-%4x-%4x-%12llx%n", &part[0], &part[1], &part[2], &part[3],
                           &last, &end) == 5;
    if (expected) {
        snprintf(memory[0], sizeof memory[0], "%08x-%04x-%04x-%04x-%012llx", part[0], part[1],
                 part[2], part[3], last);
        expected = strcmp(memory[0], copy) == 0;
    }
    bool accepted = uuid_read(&uuid, text) ^ lies("uuid");
    require(accepted == expected, "another verdict on a uuid");
    if (accepted) uuid_write(written, &uuid);
    require(!accepted || span_eq(text, (struct span){written, sizeof written}),
            "a uuid has two spellings");
    free(copy);
}

static void check_key_text(struct span text)
{
    struct paseto_key key;
    struct writer out;
    size_t size;
    writer_init(&out, memory[0], sizeof memory[0]);
    bool expected =
        text.len == PASETO_KEY_TEXT_LEN && span_starts_with(text, SPAN("k4.local.")) &&
        oracle_unbase64url((uint8_t *)memory[1], &size, (struct span){text.ptr + 9, text.len - 9});
    bool accepted = paseto_key_read(&key, text) ^ lies("key");
    require(accepted == expected, "another verdict on a key");
    if (accepted) paseto_key_write(&out, &key);
    require(!accepted || span_eq(writer_text(&out), text), "a key has two spellings");
}

static void fuzz_ids(struct choices *from)
{
    uint8_t key[RECEIPT_KEY_SIZE];
    fill(key, sizeof key, choose_byte(from));
    struct span text = own_copy(choose_rest(from));
    check_receipt(text, key);
    check_uuid(text);
    check_key_text(text);
    own_free(text);
}

/* -- claims --------------------------------------------------------------------------------- */

struct named_claim {
    const char *name;
    struct span value;
};

enum { CLAIMS = 13 };

static void list_claims(struct named_claim list[CLAIMS], const struct claims *claims)
{
    const struct named_claim all[CLAIMS] = {
        {"bid", claims->bid}, {"pub", claims->pub}, {"cam", claims->cam}, {"prd", claims->prd},
        {"crt", claims->crt}, {"adv", claims->adv}, {"usr", claims->usr}, {"ses", claims->ses},
        {"plc", claims->plc}, {"prc", claims->prc}, {"cur", claims->cur}, {"mod", claims->mod},
        {"url", claims->url},
    };
    memcpy(list, all, sizeof all);
}

/* Each claim that was read stands in the document as jansson reads it; a currency is raised. */
static void check_source(const struct claims *claims, struct span json)
{
    struct named_claim list[CLAIMS];
    enum json_oracle_verdict verdict;
    struct json_oracle *root = json_oracle_load(json.ptr, json.len, &verdict);
    require(root || verdict == ORACLE_OVERFLOWED, "claims of what is no JSON");
    if (!root) return;
    require(json_oracle_type(root) == ORACLE_OBJECT, "claims of what is no object");
    list_claims(list, claims);
    for (size_t i = 0; i < CLAIMS; i++) {
        struct span value = list[i].value;
        if (!value.ptr || strcmp(list[i].name, "cur") == 0) continue;
        struct json_oracle *member = json_oracle_member(root, list[i].name, 3);
        require(member && json_oracle_type(member) == ORACLE_STRING &&
                    json_oracle_string_is(member, value.ptr, value.len),
                "a claim that the token does not make");
    }
    json_oracle_free(root);
}

static void check_limits(const struct claims *claims, enum purpose purpose)
{
    bool is_click = purpose == PURPOSE_CLICK;
    bool is_poll = purpose == PURPOSE_VOTE || purpose == PURPOSE_RESULTS;
    struct named_claim list[CLAIMS];
    list_claims(list, claims);
    require(claims->pub.ptr != NULL, "no publisher");
    require(is_click || claims->bid.ptr, "no bid");
    require((claims->url.ptr != NULL) == is_click, "a landing URL where there is none, or none");
    require((claims->pol >= 0) == is_poll, "a poll where there is none, or none");
    for (size_t i = 0; i < CLAIMS; i++)
        require(list[i].value.len <= (strcmp(list[i].name, "url") == 0 ? 2048 : 256), "too long");
}

static void check_rewritten(const struct claims *claims, enum purpose purpose)
{
    static _Alignas(16) char arena_memory[4 * TEXT_MAX];
    const int64_t year_0 = -62167219200000, year_10000 = 253402300800000;
    struct named_claim ours[CLAIMS], theirs[CLAIMS];
    struct arena arena;
    struct claims again;
    struct writer out;
    if (claims->exp_ms < year_0 || claims->exp_ms >= year_10000) return;
    writer_init(&out, memory[2], sizeof memory[2]);
    claims_write(&out, claims, purpose);
    require(!out.overflow, "claims become longer than they may be");
    arena_init(&arena, arena_memory, sizeof arena_memory);
    bool reads = claims_read(&again, writer_text(&out), purpose, &arena, 1);
    require(reads && !lies("rewritten"), "written claims are refused");
    list_claims(ours, claims);
    list_claims(theirs, &again);
    for (size_t i = 0; i < CLAIMS; i++)
        require(span_eq(ours[i].value, theirs[i].value), "a claim is written otherwise");
    require(again.pol == claims->pol && again.exp_ms == claims->exp_ms, "a number is another");
}

static void fuzz_claims(struct choices *from)
{
    static _Alignas(16) char arena_memory[4 * TEXT_MAX];
    enum purpose purpose = (enum purpose)choose_below(from, PURPOSE_COUNT);
    struct span json = own_copy(choose_rest(from));
    struct arena arena;
    struct claims claims;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    if (claims_read(&claims, json, purpose, &arena, 1)) {
        if (lies("claims")) claims.pub.len--;
        if (lies("limits")) claims.pub.ptr = NULL;
        if (!lies("limits")) check_source(&claims, json);
        check_limits(&claims, purpose);
        check_rewritten(&claims, purpose);
    }
    own_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const parts[])(struct choices * from) = {fuzz_sealing, fuzz_text, fuzz_base64url,
                                                           fuzz_ids, fuzz_claims};
    static bool is_started;
    if (!is_started) is_started = hash_start();
    require(is_started, "libsodium cannot start");
    struct choices from = {bytes, size};
    parts[choose_below(&from, sizeof parts / sizeof parts[0])](&from);
    return 0;
}
