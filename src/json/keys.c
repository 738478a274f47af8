/* Finding duplicate keys without malloc: the keys of an object that was just closed go through an
 * open-addressing table of key token indexes (0, the root, marks a free slot). Small objects have
 * theirs on the stack; larger ones in the unused rest of the caller's token array. */

#include "json/internal.h"

enum {
    STACK_MEMBERS = 32,
    SLOT_SIZE = sizeof(uint32_t),
    SLOTS_PER_MEMBER = 2,
};

struct key_table {
    char *slots; /* not uint32_t *: the rest of the token array has another type */
    uint64_t cap;
};

__extension__ typedef unsigned __int128 product;

/* With a secret factor both halves depend on every bit of `word`. Dropping the high half, as plain
 * multiplicative hashes do, would give collisions that hold for every seed. */
static uint64_t fold(uint64_t word, uint64_t factor)
{
    product wide = (product)word * factor;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

/* The last 1 to 7 bytes, as if zeros followed. `readable` bytes may be read from `at`. */
static uint64_t partial_word(const char *at, size_t len, size_t readable)
{
    if (readable >= 8) return json_load_word(at) & ((UINT64_C(1) << 8 * len) - 1);
    char padded[8] = {0};
    for (size_t i = 0; i < len; i++)
        padded[i] = at[i];
    return json_load_word(padded);
}

static uint64_t hash_plain(const struct json_doc *doc, const struct json_token *key, uint64_t hash,
                           uint64_t factor)
{
    const char *at = doc->text.ptr + key->start;
    size_t len = key->len;
    for (; len >= 8; len -= 8, at += 8)
        hash = fold(hash ^ json_load_word(at), factor);
    size_t readable = (size_t)(doc->text.ptr + doc->text.len - at);
    if (len > 0) hash = fold(hash ^ partial_word(at, len, readable), factor);
    return fold(hash ^ key->len, factor);
}

/* The same value for the same unescaped bytes. */
static uint64_t hash_escaped(const struct json_doc *doc, uint32_t key, uint64_t hash,
                             uint64_t factor)
{
    struct json_unescaper from = json_unescape(doc, key);
    uint64_t word = 0;
    uint64_t len = 0;
    for (int byte; (byte = json_next_byte(&from)) >= 0;) {
        word |= (uint64_t)byte << len % 8 * 8;
        if (++len % 8 != 0) continue;
        hash = fold(hash ^ word, factor);
        word = 0;
    }
    if (len % 8 != 0) hash = fold(hash ^ word, factor);
    return fold(hash ^ len, factor);
}

static uint64_t hash_key(const struct json_doc *doc, uint32_t key, uint64_t seed)
{
    uint64_t factor = fold(seed ^ UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd6e8feb86659fd93)) | 1;
    const struct json_token *token = &doc->tokens[key];
    if (token->escaped) return hash_escaped(doc, key, seed, factor);
    return hash_plain(doc, token, seed, factor);
}

static bool are_equal(const struct json_doc *doc, uint32_t a, uint32_t b)
{
    const struct json_token *left = &doc->tokens[a], *right = &doc->tokens[b];
    if (left->escaped || right->escaped) return json_strings_equal(doc, a, b);
    return left->len == right->len &&
           memcmp(doc->text.ptr + left->start, doc->text.ptr + right->start, left->len) == 0;
}

/* False when the table holds an equal key. */
static bool insert_key(struct key_table *table, const struct json_doc *doc, uint32_t key,
                       uint64_t hash)
{
    uint64_t slot = (hash >> 32) * table->cap >> 32; /* cap is below 2^32 */
    for (;;) {
        char *at = table->slots + slot * SLOT_SIZE;
        uint32_t other;
        memcpy(&other, at, SLOT_SIZE);
        if (other == 0) {
            memcpy(at, &key, SLOT_SIZE);
            return true;
        }
        if (are_equal(doc, other, key)) return false;
        if (++slot == table->cap) slot = 0;
    }
}

/* False when the rest of the array is so small that the table would fill up and crawl. The
 * smallest member, `"":1,` with its two tokens, leaves exactly two slots of a full-sized array. */
static bool rest_table(struct key_table *table, const struct json_doc *doc, uint32_t members,
                       uint32_t cap)
{
    uint64_t room = (uint64_t)(cap - doc->count) * sizeof *doc->tokens / SLOT_SIZE;
    uint64_t wanted = (uint64_t)members * SLOTS_PER_MEMBER;
    table->slots = (char *)(doc->tokens + doc->count);
    table->cap = room < wanted ? room : wanted;
    return table->cap >= members + (uint64_t)members / 4;
}

enum json_error json_check_keys(const struct json_doc *doc, uint32_t object, uint32_t members,
                                uint32_t cap, uint64_t seed)
{
    if (members < 2) return JSON_OK;
    char stack[STACK_MEMBERS * SLOTS_PER_MEMBER * SLOT_SIZE];
    struct key_table table = {stack, (uint64_t)members * SLOTS_PER_MEMBER};
    if (members > STACK_MEMBERS && !rest_table(&table, doc, members, cap)) return JSON_TOO_LARGE;
    memset(table.slots, 0, table.cap * SLOT_SIZE);
    uint32_t end = doc->tokens[object].end;
    for (uint32_t key = object + 1; key < end; key = doc->tokens[key + 1].end)
        if (!insert_key(&table, doc, key, hash_key(doc, key, seed))) return JSON_DUPLICATE_KEY;
    return JSON_OK;
}
