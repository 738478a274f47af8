#include "unit.h"

#include "base/writer.h"
#include "token/hash.h"
#include "token/paseto.h"

#include <string.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define SECRET TEXT("{\"data\":\"this is a secret message\",\"exp\":\"2022-01-01T00:00:00+00:00\"}")
#define HIDDEN TEXT("{\"data\":\"this is a hidden message\",\"exp\":\"2022-01-01T00:00:00+00:00\"}")
#define KID TEXT("{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}")

static const struct paseto_key spec_key = {{0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77,
                                            0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f,
                                            0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
                                            0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f}};

static const uint8_t zero_nonce[PASETO_NONCE_SIZE] = {0};
static const uint8_t spec_nonce[PASETO_NONCE_SIZE] = {
    0xdf, 0x65, 0x48, 0x12, 0xba, 0xc4, 0x92, 0x66, 0x38, 0x25, 0x52, 0x0b, 0xa2, 0xf6, 0xe6, 0x7c,
    0xf5, 0xca, 0x5b, 0xdc, 0x13, 0xd4, 0xe7, 0x50, 0x7a, 0x98, 0xcc, 0x4c, 0x2f, 0xcc, 0x3a, 0xd8};

struct known_row {
    const char *name;
    const uint8_t *nonce;
    struct span message;
    struct span footer;
    struct span assertion;
    struct span token;
};

/* Of the specification's own vectors, those that differ in shape; all nine are in
 * token_vectors_test.c. */
static const struct known_row known_rows[] = {
    {"spec 4-E-1: no nonce to speak of", zero_nonce, SECRET, TEXT(""), TEXT(""),
     TEXT("v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr68PS4AXe7If_ZgesdkUMvSwsc"
          "FlAl1pk5HC0e8kApeaqMfGo_7OpBnwJOAbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0"
          "S92dx0OW4pgy7omxgf3S8c3LlQg")},
    {"spec 4-E-3: a message alone", spec_nonce, SECRET, TEXT(""), TEXT(""),
     TEXT("v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwM"
          "sYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6-tyebyWG6Ov7kKvB"
          "dkrrAJ837lKP3iDag2hzUPHuMKA")},
    {"spec 4-E-5: with a footer", spec_nonce, SECRET, KID, TEXT(""),
     TEXT("v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwM"
          "sYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t4x-RMNXtQNbz7FvFZ"
          "_G-lFpk5RG3EOrwDL6CgDqcerSQ.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NO"
          "eTlEZmdMMVc2MGhhTiJ9")},
    {"spec 4-E-9: with a footer and an assertion", spec_nonce, HIDDEN,
     TEXT("arbitrary-string-that-isn't-json"), TEXT("{\"test-vector\":\"4-E-9\"}"),
     TEXT("v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WiA8"
          "rd3wgFSNb_UdJPXjpzm0KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6tybdlmnMwcDMw0Yx"
          "A_gFSE_IUWl78aMtOepFYSWYfQA.YXJiaXRyYXJ5LXN0cmluZy10aGF0LWlzbid0LWpzb24")},
};

struct opened {
    char memory[2048];
    struct writer out;
};

static bool decrypt(struct opened *opened, const struct paseto_key *key, struct span token,
                    struct span assertion)
{
    writer_init(&opened->out, opened->memory, sizeof opened->memory);
    bool authentic = paseto_decrypt(&opened->out, key, token, assertion);
    if (!authentic) assert_int_equal(opened->out.len, 0);
    return authentic;
}

static void spec_vector_holds(void **state)
{
    const struct known_row *row = *state;
    char memory[512], footer_memory[PASETO_FOOTER_MAX];
    struct writer token, footer;
    struct opened opened;
    writer_init(&token, memory, sizeof memory);
    paseto_encrypt(&token, &spec_key, row->nonce, row->message, row->footer, row->assertion);
    assert_false(token.overflow);
    assert_true(span_eq(writer_text(&token), row->token));
    assert_int_equal(row->token.len, paseto_encrypted_len(row->message.len, row->footer.len));
    assert_true(decrypt(&opened, &spec_key, row->token, row->assertion));
    assert_true(span_eq(writer_text(&opened.out), row->message));
    writer_init(&footer, footer_memory, sizeof footer_memory);
    assert_true(paseto_footer(&footer, row->token));
    assert_true(span_eq(writer_text(&footer), row->footer));
}

struct sample {
    char memory[1024];
    struct span token;
};

/* A token of which every byte matters: message, footer and assertion are all there. */
static void make_sample(struct sample *sample)
{
    struct writer out;
    writer_init(&out, sample->memory, sizeof sample->memory);
    paseto_encrypt(&out, &spec_key, spec_nonce, SPAN("{\"bid\":\"b1\",\"pub\":\"p1\"}"),
                   SPAN("{\"kid\":\"k1\"}"), SPAN("adtally/view"));
    assert_false(out.overflow);
    sample->token = writer_text(&out);
}

static bool sample_opens(struct span token)
{
    struct opened opened;
    return decrypt(&opened, &spec_key, token, SPAN("adtally/view"));
}

static void every_length_comes_back(void **state)
{
    (void)state;
    enum { MESSAGE_MAX = 300, FOOTER_STEP = 37 };
    char message[MESSAGE_MAX], footer[PASETO_FOOTER_MAX], memory[2048];
    memset(footer, 'f', sizeof footer);
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (char)(i * 7);
    for (size_t len = 0; len <= MESSAGE_MAX; len++) {
        size_t footer_len = len * FOOTER_STEP % (PASETO_FOOTER_MAX + 1);
        struct span text = {message, len};
        struct writer out;
        struct opened opened;
        writer_init(&out, memory, sizeof memory);
        paseto_encrypt(&out, &spec_key, spec_nonce, text, (struct span){footer, footer_len},
                       SPAN_NONE);
        assert_false(out.overflow);
        assert_int_equal(out.len, paseto_encrypted_len(len, footer_len));
        assert_true(decrypt(&opened, &spec_key, writer_text(&out), SPAN_NONE));
        assert_true(span_eq(writer_text(&opened.out), text));
    }
}

static void nonces_make_tokens_differ(void **state)
{
    (void)state;
    char a[256], b[256];
    struct writer one, other;
    writer_init(&one, a, sizeof a);
    writer_init(&other, b, sizeof b);
    paseto_encrypt(&one, &spec_key, zero_nonce, SPAN("same"), SPAN_NONE, SPAN_NONE);
    paseto_encrypt(&other, &spec_key, spec_nonce, SPAN("same"), SPAN_NONE, SPAN_NONE);
    assert_int_equal(one.len, other.len);
    assert_false(span_eq(writer_text(&one), writer_text(&other)));
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    make_sample(&sample);
    assert_true(sample_opens(sample.token));
    for (size_t i = 0; i < sample.token.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            sample.memory[i] = (char)(sample.memory[i] ^ (1 << bit));
            assert_false(sample_opens(sample.token));
            sample.memory[i] = (char)(sample.memory[i] ^ (1 << bit));
        }
    }
    assert_true(sample_opens(sample.token));
}

/* Flipped bits mostly leave the alphabet; this stays inside it. */
static void every_other_character_is_refused(void **state)
{
    (void)state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.";
    struct sample sample;
    make_sample(&sample);
    for (size_t i = 0; i < sample.token.len; i++) {
        char kept = sample.memory[i];
        for (const char *other = alphabet; *other; other++) {
            if (*other == kept) continue;
            sample.memory[i] = *other;
            assert_false(sample_opens(sample.token));
        }
        sample.memory[i] = kept;
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    make_sample(&sample);
    for (size_t len = 0; len < sample.token.len; len++) {
        assert_false(sample_opens((struct span){sample.memory, len}));
        assert_false(sample_opens((struct span){sample.memory + sample.token.len - len, len}));
    }
    assert_false(sample_opens(SPAN_NONE));
}

static void every_added_byte_is_refused(void **state)
{
    (void)state;
    struct sample sample, longer;
    make_sample(&sample);
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at <= sample.token.len; at++) {
            memcpy(longer.memory, sample.memory, at);
            longer.memory[at] = (char)byte;
            memcpy(longer.memory + at + 1, sample.memory + at, sample.token.len - at);
            assert_false(sample_opens((struct span){longer.memory, sample.token.len + 1}));
        }
    }
}

static void another_assertion_is_refused(void **state)
{
    (void)state;
    static const char *const assertions[] = {"",
                                             "adtally/ack",
                                             "adtally/vie",
                                             "adtally/views",
                                             "Adtally/view",
                                             "adtally/click",
                                             "adtally/vote",
                                             "adtally/results"};
    struct sample sample;
    struct opened opened;
    make_sample(&sample);
    for (size_t i = 0; i < sizeof assertions / sizeof assertions[0]; i++)
        assert_false(decrypt(&opened, &spec_key, sample.token, span_of(assertions[i])));
    assert_false(decrypt(&opened, &spec_key, sample.token, SPAN_NONE));
    assert_true(decrypt(&opened, &spec_key, sample.token, SPAN("adtally/view")));
}

static void every_other_key_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    struct opened opened;
    make_sample(&sample);
    for (size_t bit = 0; bit < 8 * PASETO_KEY_SIZE; bit++) {
        struct paseto_key other = spec_key;
        other.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(decrypt(&opened, &other, sample.token, SPAN("adtally/view")));
    }
}

/* Bytes moved over a border of what the MAC covers: the lengths in PAE keep them apart. */
static void footer_and_assertion_do_not_run_together(void **state)
{
    (void)state;
    char memory[256];
    struct writer out;
    struct opened opened;
    writer_init(&out, memory, sizeof memory);
    paseto_encrypt(&out, &spec_key, spec_nonce, SPAN("m"), SPAN("foot"), SPAN("er"));
    out.len -= strlen("Zm9vdA");  /* "foot" */
    writer_lit(&out, "Zm9vdGVy"); /* "footer" */
    assert_false(decrypt(&opened, &spec_key, writer_text(&out), SPAN_NONE));
    assert_false(decrypt(&opened, &spec_key, writer_text(&out), SPAN("er")));
}

#define BODY_86                                                                                    \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct footer_row {
    const char *name;
    struct span token;
    struct span footer; /* absent: refused */
};

static const struct footer_row footer_rows[] = {
    {"footer: none", TEXT("v4.local." BODY_86), TEXT("")},
    {"footer: some", TEXT("v4.local." BODY_86 ".Zm9v"), TEXT("foo")},
    {"footer: a bare dot", TEXT("v4.local." BODY_86 "."), {NULL, 0}},
    {"footer: two dots", TEXT("v4.local." BODY_86 "..Zm9v"), {NULL, 0}},
    {"footer: a part too many", TEXT("v4.local." BODY_86 ".Zm9v.Zm9v"), {NULL, 0}},
    {"footer: a dot at the end", TEXT("v4.local." BODY_86 ".Zm9v."), {NULL, 0}},
    {"footer: padding", TEXT("v4.local." BODY_86 ".Zg=="), {NULL, 0}},
    {"footer: trailing bits", TEXT("v4.local." BODY_86 ".Zh"), {NULL, 0}},
    {"footer: plain base64", TEXT("v4.local." BODY_86 ".+/+/"), {NULL, 0}},
    {"footer: no body", TEXT("v4.local..Zm9v"), {NULL, 0}},
    {"footer: body too short", TEXT("v4.local.AAAA.Zm9v"), {NULL, 0}},
    {"header: public", TEXT("v4.public." BODY_86), {NULL, 0}},
    {"header: v3", TEXT("v3.local." BODY_86), {NULL, 0}},
    {"header: upper case", TEXT("V4.LOCAL." BODY_86), {NULL, 0}},
    {"header: without its dot", TEXT("v4.local" BODY_86), {NULL, 0}},
    {"header: alone", TEXT("v4.local."), {NULL, 0}},
    {"header: space before", TEXT(" v4.local." BODY_86), {NULL, 0}},
    {"header: none", TEXT(BODY_86), {NULL, 0}},
    {"header: a JWT", TEXT("eyJhbGciOiJub25lIn0.e30."), {NULL, 0}},
    {"header: empty", TEXT(""), {NULL, 0}},
    {"header: absent", {NULL, 0}, {NULL, 0}},
};

static void footer_is_read(void **state)
{
    const struct footer_row *row = *state;
    char memory[PASETO_FOOTER_MAX];
    struct writer out;
    struct opened opened;
    writer_init(&out, memory, sizeof memory);
    assert_int_equal(paseto_footer(&out, row->token), row->footer.ptr != NULL);
    assert_int_equal(out.len, row->footer.len);
    assert_true(span_eq(writer_text(&out), row->footer));
    assert_false(decrypt(&opened, &spec_key, row->token, SPAN_NONE));
}

static void footers_have_a_maximum(void **state)
{
    (void)state;
    char footer[PASETO_FOOTER_MAX + 1], memory[2048], back[PASETO_FOOTER_MAX + 4];
    struct writer out, decoded;
    memset(footer, 'f', sizeof footer);
    writer_init(&out, memory, sizeof memory);
    paseto_encrypt(&out, &spec_key, spec_nonce, SPAN("m"), (struct span){footer, sizeof footer},
                   SPAN_NONE);
    assert_true(out.overflow);
    writer_init(&out, memory, sizeof memory);
    paseto_encrypt(&out, &spec_key, spec_nonce, SPAN("m"), (struct span){footer, PASETO_FOOTER_MAX},
                   SPAN_NONE);
    writer_init(&decoded, back, sizeof back);
    assert_true(paseto_footer(&decoded, writer_text(&out)));
    assert_int_equal(decoded.len, PASETO_FOOTER_MAX);
    writer_lit(&out, "Zg"); /* in the place of the last character: one byte more */
    decoded.len = 0;
    assert_false(paseto_footer(&decoded, writer_text(&out)));
}

static void room_is_respected(void **state)
{
    (void)state;
    struct sample sample;
    char memory[1024];
    make_sample(&sample);
    size_t message_len = strlen("{\"bid\":\"b1\",\"pub\":\"p1\"}");
    for (size_t size = 0; size <= message_len + PASETO_OVERHEAD; size++) {
        struct writer out;
        writer_init(&out, memory, size);
        bool fits = size == message_len + PASETO_OVERHEAD;
        assert_int_equal(paseto_decrypt(&out, &spec_key, sample.token, SPAN("adtally/view")), fits);
        assert_int_equal(out.overflow, !fits);
    }
    for (size_t size = 0; size < sample.token.len; size++) {
        struct writer out;
        writer_init(&out, memory, size);
        paseto_encrypt(&out, &spec_key, spec_nonce, (struct span){sample.memory, message_len},
                       SPAN("{\"kid\":\"k1\"}"), SPAN_NONE);
        assert_true(out.overflow);
        assert_int_equal(out.len, 0);
    }
}

static void output_is_appended(void **state)
{
    (void)state;
    char memory[1024];
    struct sample sample;
    struct writer out;
    make_sample(&sample);
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "before ");
    assert_false(paseto_decrypt(&out, &spec_key, sample.token, SPAN("adtally/ack")));
    assert_true(span_eq(writer_text(&out), SPAN("before ")));
    assert_true(paseto_decrypt(&out, &spec_key, sample.token, SPAN("adtally/view")));
    assert_true(span_eq(writer_text(&out), SPAN("before {\"bid\":\"b1\",\"pub\":\"p1\"}")));
}

struct key_row {
    const char *name;
    struct span text;
};

#define KEY_42 "cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo"

static const struct key_row bad_key_rows[] = {
    {"key: of v4.public", TEXT("k4.public." KEY_42 "8")},
    {"key: secret", TEXT("k4.secret." KEY_42 "8")},
    {"key: of v3", TEXT("k3.local." KEY_42 "8")},
    {"key: an id", TEXT("k4.lid." KEY_42 "8")},
    {"key: bare base64url", TEXT(KEY_42 "8")},
    {"key: bare hex", TEXT("707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f")},
    {"key: trailing bits", TEXT("k4.local." KEY_42 "9")},
    {"key: padding", TEXT("k4.local." KEY_42 "8=")},
    {"key: a byte short", TEXT("k4.local." KEY_42)},
    {"key: a byte long", TEXT("k4.local." KEY_42 "8A")},
    {"key: line feed", TEXT("k4.local." KEY_42 "8\n")},
    {"key: empty", TEXT("")},
    {"key: absent", {NULL, 0}},
};

static void key_is_refused(void **state)
{
    const struct key_row *row = *state;
    struct paseto_key key = spec_key;
    assert_false(paseto_key_read(&key, row->text));
    assert_memory_equal(&key, &spec_key, sizeof key);
}

static void keys_have_a_text(void **state)
{
    (void)state;
    char memory[PASETO_KEY_TEXT_LEN];
    struct writer out;
    struct paseto_key back;
    writer_init(&out, memory, sizeof memory);
    paseto_key_write(&out, &spec_key);
    assert_true(span_eq(writer_text(&out), SPAN("k4.local." KEY_42 "8")));
    assert_true(paseto_key_read(&back, writer_text(&out)));
    assert_memory_equal(&back, &spec_key, sizeof back);
}

/* The largest a request head could carry, and then some. */
static void sixteen_kibibytes_come_back(void **state)
{
    (void)state;
    enum { LEN = 12000, ROOM = 20000 };
    char *message = malloc(LEN), *token_memory = malloc(ROOM), *memory = malloc(ROOM);
    struct writer token, out;
    memset(message, 'x', LEN);
    writer_init(&token, token_memory, ROOM);
    writer_init(&out, memory, ROOM);
    paseto_encrypt(&token, &spec_key, spec_nonce, (struct span){message, LEN}, SPAN_NONE,
                   SPAN_NONE);
    assert_true(token.len > 16000);
    assert_true(paseto_decrypt(&out, &spec_key, writer_text(&token), SPAN_NONE));
    assert_true(span_eq(writer_text(&out), (struct span){message, LEN}));
    free(message);
    free(token_memory);
    free(memory);
}

int main(void)
{
    if (!hash_start()) return 1;
    UNIT_ADD_ROWS(known_rows, spec_vector_holds);
    UNIT_ADD_ROWS(footer_rows, footer_is_read);
    UNIT_ADD(every_length_comes_back);
    UNIT_ADD(nonces_make_tokens_differ);
    UNIT_ADD(every_flipped_bit_is_refused);
    UNIT_ADD(every_other_character_is_refused);
    UNIT_ADD(every_truncation_is_refused);
    UNIT_ADD(every_added_byte_is_refused);
    UNIT_ADD(another_assertion_is_refused);
    UNIT_ADD(every_other_key_is_refused);
    UNIT_ADD(footer_and_assertion_do_not_run_together);
    UNIT_ADD(footers_have_a_maximum);
    UNIT_ADD(room_is_respected);
    UNIT_ADD(output_is_appended);
    UNIT_ADD_ROWS(bad_key_rows, key_is_refused);
    UNIT_ADD(keys_have_a_text);
    UNIT_ADD(sixteen_kibibytes_come_back);
    return UNIT_RUN_ADDED("paseto");
}
