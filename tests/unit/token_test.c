#include "unit.h"

#include "base/writer.h"
#include "token/apikey.h"
#include "token/base64url.h"
#include "token/hash.h"
#include "token/receipt.h"

#include <string.h>

struct base64url_row {
    const char *name;
    struct span text;
    struct span bytes; /* absent: refused */
};

static const struct base64url_row base64url_rows[] = {
    {"base64url: nothing", {"", 0}, {"", 0}},
    {"base64url: one byte", {"Zg", 2}, {"f", 1}},
    {"base64url: two bytes", {"Zm8", 3}, {"fo", 2}},
    {"base64url: three bytes", {"Zm9v", 4}, {"foo", 3}},
    {"base64url: four bytes", {"Zm9vYg", 6}, {"foob", 4}},
    {"base64url: five bytes", {"Zm9vYmE", 7}, {"fooba", 5}},
    {"base64url: six bytes", {"Zm9vYmFy", 8}, {"foobar", 6}},
    {"base64url: the two characters of the URL alphabet", {"-_-_", 4}, {"\xfb\xff\xbf", 3}},
    {"base64url: zero bytes", {"AAAA", 4}, {"\0\0\0", 3}},
    {"base64url: plus of plain base64", {"+_-_", 4}, {NULL, 0}},
    {"base64url: slash of plain base64", {"-/-_", 4}, {NULL, 0}},
    {"base64url: padding, one", {"Zm8=", 4}, {NULL, 0}},
    {"base64url: padding, two", {"Zg==", 4}, {NULL, 0}},
    {"base64url: padding after whole groups", {"Zm9v====", 8}, {NULL, 0}},
    {"base64url: padding alone", {"=", 1}, {NULL, 0}},
    {"base64url: one character too many", {"Zm9vY", 5}, {NULL, 0}},
    {"base64url: one character", {"Z", 1}, {NULL, 0}},
    {"base64url: trailing bits, lowest of four", {"Zh", 2}, {NULL, 0}},
    {"base64url: trailing bits, highest of four", {"Zo", 2}, {NULL, 0}},
    {"base64url: trailing bits, lowest of two", {"Zm9", 3}, {NULL, 0}},
    {"base64url: trailing bits, highest of two", {"Zm-", 3}, {NULL, 0}},
    {"base64url: space before", {" Zm9", 4}, {NULL, 0}},
    {"base64url: space after", {"Zm9v ", 5}, {NULL, 0}},
    {"base64url: line feed inside", {"Zm\n9v", 5}, {NULL, 0}},
    {"base64url: NUL inside", {"Zm\09", 4}, {NULL, 0}},
    {"base64url: past ASCII", {"Zm9\xf6", 4}, {NULL, 0}},
    {"base64url: percent escape", {"Zg%3D%3D", 8}, {NULL, 0}},
};

static void base64url_is_strict(void **state)
{
    const struct base64url_row *row = *state;
    char memory[16];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "x");
    assert_int_equal(base64url_decode(&out, row->text), row->bytes.ptr != NULL);
    assert_false(out.overflow);
    assert_int_equal(out.len, 1 + row->bytes.len);
    if (!row->bytes.ptr) return;
    assert_memory_equal(memory + 1, row->bytes.ptr, row->bytes.len);
    writer_init(&out, memory, sizeof memory);
    base64url_encode(&out, row->bytes.ptr, row->bytes.len);
    assert_true(span_eq(writer_text(&out), row->text));
    assert_int_equal(base64url_encoded_len(row->bytes.len), row->text.len);
}

/* Of all texts of two characters exactly 256 decode: each byte has one spelling. */
static void base64url_has_one_spelling_a_value(void **state)
{
    (void)state;
    bool seen[256] = {false};
    size_t count = 0;
    for (unsigned pair = 0; pair < 65536; pair++) {
        char text[2] = {(char)(pair >> 8), (char)pair};
        uint8_t byte;
        struct writer out;
        writer_init(&out, &byte, 1);
        if (!base64url_decode(&out, (struct span){text, 2})) continue;
        assert_false(seen[byte]);
        seen[byte] = true;
        count++;
    }
    assert_int_equal(count, 256);
}

static void base64url_does_not_write_past_its_room(void **state)
{
    (void)state;
    char memory[4] = "....";
    struct writer out;
    writer_init(&out, memory, 2);
    assert_false(base64url_decode(&out, SPAN("Zm9v")));
    assert_true(out.overflow);
    assert_int_equal(out.len, 0);
    writer_init(&out, memory, 3);
    base64url_encode(&out, "foo", 3);
    assert_true(out.overflow);
    assert_memory_equal(memory, "....", 4);
}

static void base64url_encodes_in_place(void **state)
{
    (void)state;
    for (size_t size = 0; size < 100; size++) {
        uint8_t bytes[100];
        char apart[136], in_place[136];
        size_t len = base64url_encoded_len(size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(i * 37 + size);
        base64url_encode_to(apart, bytes, size);
        memcpy(in_place + len - size, bytes, size);
        base64url_encode_to(in_place, (uint8_t *)in_place + len - size, size);
        assert_memory_equal(apart, in_place, len);
    }
}

struct hmac_row {
    const char *name;
    struct span key;
    struct span message;
    const char *mac; /* as many digits as the RFC prints */
};

#define AA20 "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define AA131 AA20 AA20 AA20 AA20 AA20 AA20 "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define DD10 "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"
#define CD10 "\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd"
#define B20 "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
#define C20 "\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c"
#define KEY25 "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31"
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct hmac_row hmac_rows[] = {
    {"RFC 4231 case 1", TEXT(B20), TEXT("Hi There"),
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"RFC 4231 case 2", TEXT("Jefe"), TEXT("what do ya want for nothing?"),
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"RFC 4231 case 3", TEXT(AA20), TEXT(DD10 DD10 DD10 DD10 DD10),
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"RFC 4231 case 4", TEXT(KEY25), TEXT(CD10 CD10 CD10 CD10 CD10),
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"RFC 4231 case 5", TEXT(C20), TEXT("Test With Truncation"),
     "a3b6167473100ee06e0c796c2955552b"},
    {"RFC 4231 case 6", TEXT(AA131), TEXT("Test Using Larger Than Block-Size Key - Hash Key First"),
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"RFC 4231 case 7", TEXT(AA131),
     TEXT("This is a test using a larger than block-size key and a larger than block-size data. "
          "The key needs to be hashed before being used by the HMAC algorithm."),
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {"HMAC-SHA256 of nothing with an absent key",
     {NULL, 0},
     {NULL, 0},
     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void hmac_has_known_answers(void **state)
{
    const struct hmac_row *row = *state;
    uint8_t mac[HASH_HMAC_SIZE];
    char hex[2 * HASH_HMAC_SIZE];
    struct writer out;
    struct hash_hmac_key key;
    hash_hmac_prepare(&key, row->key);
    hash_hmac_sha256(mac, &key, row->message);
    writer_init(&out, hex, sizeof hex);
    writer_hex(&out, mac, sizeof mac);
    assert_memory_equal(hex, row->mac, strlen(row->mac));
}

/* The vectors of the SipHash paper's reference code: key 00..0f, message 00..(n-1). */
static void siphash_has_known_answers(void **state)
{
    (void)state;
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_true(hash_fingerprint(bytes, NULL, 0) == 0x726fdb47dd0e0e31);
    assert_true(hash_fingerprint(bytes, bytes, 15) == 0xa129ca6149be45e5);
    assert_true(hash_fingerprint(bytes, bytes, 63) == 0x958a324ceb064572);
}

/* Computed with Python's hashlib.blake2b(message, digest_size=32, key=bytes(range(32))). */
static void blake2b_has_known_answers(void **state)
{
    (void)state;
    static const struct {
        struct span message;
        const char *digest;
    } rows[] = {
        {{NULL, 0}, "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d"},
        {{"abc", 3}, "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f"},
    };
    uint8_t key[HASH_KEY_SIZE], digest[HASH_SIZE];
    char hex[2 * HASH_SIZE];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct writer out;
        writer_init(&out, hex, sizeof hex);
        hash_secret(digest, key, rows[i].message);
        writer_hex(&out, digest, sizeof digest);
        assert_memory_equal(hex, rows[i].digest, sizeof hex);
    }
}

static void hash_equal_compares_every_byte(void **state)
{
    (void)state;
    enum { SIZE_MAX_TRIED = 100 };
    uint8_t a[SIZE_MAX_TRIED] = {0}, b[SIZE_MAX_TRIED] = {0};
    for (size_t size = 0; size <= SIZE_MAX_TRIED; size++) {
        assert_true(hash_equal(a, b, size));
        for (size_t i = 0; i < SIZE_MAX_TRIED; i++) {
            b[i] ^= 0x80;
            assert_int_equal(hash_equal(a, b, size), i >= size);
            b[i] ^= 0x80;
        }
    }
}

static const uint8_t receipt_key[RECEIPT_KEY_SIZE] = {1, 2, 3};

static int compare_receipts(const void *a, const void *b)
{
    return memcmp(a, b, RECEIPT_LEN);
}

static void receipts_are_unique_and_invertible(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    char(*receipts)[RECEIPT_LEN] = malloc(COUNT * sizeof *receipts);
    for (uint64_t sequence = 0; sequence < COUNT; sequence++) {
        uint64_t back;
        receipt_write(receipts[sequence], receipt_key, sequence);
        assert_true(
            receipt_read(&back, receipt_key, (struct span){receipts[sequence], RECEIPT_LEN}));
        assert_true(back == sequence);
    }
    qsort(receipts, COUNT, sizeof *receipts, compare_receipts);
    for (size_t i = 1; i < COUNT; i++)
        assert_memory_not_equal(receipts[i - 1], receipts[i], RECEIPT_LEN);
    free(receipts);
}

static void receipts_span_all_64_bits(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t sequences[] = {(uint64_t)1 << bit, UINT64_MAX - ((uint64_t)1 << bit)};
        for (size_t i = 0; i < 2; i++) {
            char text[RECEIPT_LEN];
            uint64_t back;
            receipt_write(text, receipt_key, sequences[i]);
            assert_true(receipt_read(&back, receipt_key, (struct span){text, sizeof text}));
            assert_true(back == sequences[i]);
        }
    }
}

/* Receipts live in partners' books: another permutation in a later version would break them. */
static void receipts_stay_what_they_were(void **state)
{
    (void)state;
    char text[RECEIPT_LEN];
    receipt_write(text, receipt_key, 0);
    assert_memory_equal(text, "9e7607609a73e4e9", RECEIPT_LEN);
    receipt_write(text, receipt_key, 1);
    assert_memory_equal(text, "264d37c8e382c2c8", RECEIPT_LEN);
}

static void receipts_depend_on_the_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8 * RECEIPT_KEY_SIZE; i++) {
        uint8_t other[RECEIPT_KEY_SIZE];
        char ours[RECEIPT_LEN], theirs[RECEIPT_LEN];
        uint64_t back;
        memcpy(other, receipt_key, sizeof other);
        other[i / 8] ^= (uint8_t)(1 << i % 8);
        receipt_write(ours, receipt_key, 7);
        receipt_write(theirs, other, 7);
        assert_memory_not_equal(ours, theirs, RECEIPT_LEN);
        assert_true(receipt_read(&back, other, (struct span){ours, sizeof ours}));
        assert_true(back != 7);
    }
}

struct receipt_row {
    const char *name;
    struct span text;
};

static const struct receipt_row bad_receipt_rows[] = {
    {"receipt: empty", TEXT("")},
    {"receipt: absent", {NULL, 0}},
    {"receipt: 15 digits", TEXT("012345678abcdef")},
    {"receipt: 17 digits", TEXT("0123456789abcdef0")},
    {"receipt: upper case", TEXT("0123456789ABCDEF")},
    {"receipt: not hex", TEXT("0123456789abcdeg")},
    {"receipt: prefix", TEXT("0x23456789abcdef")},
    {"receipt: sign", TEXT("-123456789abcdef")},
    {"receipt: space", TEXT(" 123456789abcdef")},
    {"receipt: NUL", TEXT("0123456789abcde\0")},
};

static void receipt_is_refused(void **state)
{
    const struct receipt_row *row = *state;
    uint64_t sequence = 42;
    assert_false(receipt_read(&sequence, receipt_key, row->text));
    assert_true(sequence == 42);
}

enum { ENTROPY_SIZE = APIKEY_ID_LEN + APIKEY_RANDOM_SIZE };

static struct span make_key(char memory[APIKEY_SECRET_MAX], enum apikey_class cls, uint8_t seed)
{
    uint8_t entropy[ENTROPY_SIZE];
    char id[APIKEY_ID_LEN];
    struct writer out;
    for (size_t i = 0; i < sizeof entropy; i++)
        entropy[i] = (uint8_t)(seed + i * 101);
    writer_init(&out, memory, APIKEY_SECRET_MAX);
    apikey_make(id, &out, cls, entropy);
    assert_false(out.overflow);
    return writer_text(&out);
}

static void made_keys_are_well_formed(void **state)
{
    (void)state;
    for (int cls = 0; cls < APIKEY_COUNT; cls++) {
        for (unsigned seed = 0; seed < 256; seed++) {
            char memory[APIKEY_SECRET_MAX];
            struct span key = make_key(memory, (enum apikey_class)cls, (uint8_t)seed);
            assert_true(apikey_well_formed(key));
            assert_true(apikey_importable(key));
        }
    }
}

static void a_key_is_built_from_its_entropy(void **state)
{
    (void)state;
    uint8_t entropy[ENTROPY_SIZE] = {0};
    char id[APIKEY_ID_LEN], alone[APIKEY_ID_LEN], memory[APIKEY_SECRET_MAX];
    struct writer out;
    entropy[5] = 35, entropy[10] = 1; /* the low byte of one half, the second lowest of the other */
    memset(entropy + APIKEY_ID_LEN, 0xff, APIKEY_RANDOM_SIZE);
    writer_init(&out, memory, sizeof memory);
    apikey_make(id, &out, APIKEY_PARTNER, entropy);
    apikey_make_id(alone, entropy);
    assert_memory_equal(id, "00000z000074", APIKEY_ID_LEN);
    assert_memory_equal(id, alone, APIKEY_ID_LEN);
    struct span expected =
        SPAN("adt_partner_00000z000074___________________________________________8");
    assert_true(span_starts_with(writer_text(&out), expected));
    assert_int_equal(out.len, expected.len + 6);
    assert_memory_equal(memory + expected.len, "k8tdc0", 6);
}

static void a_key_that_does_not_fit_shows(void **state)
{
    (void)state;
    const uint8_t entropy[ENTROPY_SIZE] = {0};
    enum { PARTNER_KEY_LEN = 74 };
    char id[APIKEY_ID_LEN], memory[PARTNER_KEY_LEN];
    for (size_t size = 0; size <= PARTNER_KEY_LEN; size++) {
        struct writer out;
        writer_init(&out, memory, size);
        apikey_make(id, &out, APIKEY_PARTNER, entropy);
        assert_int_equal(out.overflow, size < PARTNER_KEY_LEN);
    }
}

/* A leak scanner's question: one wrong character anywhere, and it is not one of ours. */
static void any_other_character_unmakes_a_key(void **state)
{
    (void)state;
    char memory[APIKEY_SECRET_MAX];
    struct span key = make_key(memory, APIKEY_ADSERVER, 9);
    for (size_t i = 0; i < key.len; i++) {
        char kept = memory[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            memory[i] = (char)(kept ^ (1 << bit));
            assert_false(apikey_well_formed(key));
        }
        memory[i] = kept;
        assert_false(apikey_well_formed((struct span){key.ptr, i}));
    }
    memory[key.len] = 'a';
    assert_false(apikey_well_formed((struct span){key.ptr, key.len + 1}));
    assert_true(apikey_well_formed(key));
}

static void classes_have_names(void **state)
{
    (void)state;
    for (int cls = 0; cls < APIKEY_COUNT; cls++) {
        enum apikey_class back = APIKEY_COUNT;
        assert_true(apikey_class_of(apikey_class_name((enum apikey_class)cls), &back));
        assert_int_equal(back, cls);
    }
    enum apikey_class untouched = APIKEY_ADMIN;
    assert_false(apikey_class_of(SPAN("Partner"), &untouched));
    assert_false(apikey_class_of(SPAN("partne"), &untouched));
    assert_false(apikey_class_of(SPAN_NONE, &untouched));
    assert_int_equal(untouched, APIKEY_ADMIN);
}

static void imports_are_visible_ascii_of_a_sane_length(void **state)
{
    (void)state;
    char text[APIKEY_SECRET_MAX + 1];
    memset(text, '~', sizeof text);
    assert_false(apikey_importable((struct span){text, APIKEY_IMPORT_MIN - 1}));
    assert_true(apikey_importable((struct span){text, APIKEY_IMPORT_MIN}));
    assert_true(apikey_importable((struct span){text, APIKEY_SECRET_MAX}));
    assert_false(apikey_importable((struct span){text, APIKEY_SECRET_MAX + 1}));
    for (unsigned byte = 0; byte < 256; byte++) {
        text[7] = (char)byte;
        assert_int_equal(apikey_importable((struct span){text, 32}), byte >= 0x21 && byte <= 0x7e);
    }
}

int main(void)
{
    if (!hash_start()) return 1;
    UNIT_ADD_ROWS(base64url_rows, base64url_is_strict);
    UNIT_ADD_ROWS(hmac_rows, hmac_has_known_answers);
    UNIT_ADD_ROWS(bad_receipt_rows, receipt_is_refused);
    UNIT_ADD(base64url_has_one_spelling_a_value);
    UNIT_ADD(base64url_does_not_write_past_its_room);
    UNIT_ADD(base64url_encodes_in_place);
    UNIT_ADD(siphash_has_known_answers);
    UNIT_ADD(blake2b_has_known_answers);
    UNIT_ADD(hash_equal_compares_every_byte);
    UNIT_ADD(receipts_are_unique_and_invertible);
    UNIT_ADD(receipts_span_all_64_bits);
    UNIT_ADD(receipts_stay_what_they_were);
    UNIT_ADD(receipts_depend_on_the_key);
    UNIT_ADD(made_keys_are_well_formed);
    UNIT_ADD(a_key_is_built_from_its_entropy);
    UNIT_ADD(a_key_that_does_not_fit_shows);
    UNIT_ADD(any_other_character_unmakes_a_key);
    UNIT_ADD(classes_have_names);
    UNIT_ADD(imports_are_visible_ascii_of_a_sane_length);
    return UNIT_RUN_ADDED("token");
}
