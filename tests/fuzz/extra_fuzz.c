#include "event/extra.h"

#include "fuzz.h"
#include "json_oracle.h"

#include <stdlib.h>
#include <string.h>

/* Unlisted fields. Whatever object comes, what is kept is one object in the limits of the contract,
 * as jansson sees it; sanitized a second time it is the same and nothing is dropped; and where
 * nothing was to be sanitized, nothing was.
 *
 * Input: a byte that chooses how much room there is, then the object. */

enum { INPUT_MAX = 32 * 1024, TOKENS_MAX = INPUT_MAX / 2 + 1 };

static char memory[3][LIMIT_EXTRA + 16];
static struct json_token tokens[TOKENS_MAX];

struct kept {
    struct span text;
    uint32_t dropped;
};

/* False: the text is no object. */
static bool sanitize(struct kept *kept, char *into, size_t room, struct span text)
{
    struct json_doc doc;
    struct extra extra;
    struct writer out;
    if (json_parse(&doc, text, tokens, TOKENS_MAX, 1) != JSON_OK) return false;
    if (tokens[0].type != JSON_OBJECT) return false;
    writer_init(&out, into, room);
    extra_open(&extra, &out);
    for (uint32_t key = 1; key < tokens[0].end; key = tokens[key + 1].end)
        extra_add(&extra, &doc, key, key + 1);
    extra_close(&extra);
    require(!out.overflow && out.len <= room && out.len <= LIMIT_EXTRA, "more than there is room");
    *kept = (struct kept){writer_text(&out), extra.dropped};
    return true;
}

/* -- what is kept ------------------------------------------------------------------------------ */

struct counts {
    size_t members, depth;
};

static void check_string(struct span text)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0xff;
        characters += (c & 0xc0) != 0x80;
        require(c >= 0x20 && c != 0x7f && (c != 0xc2 || next >= 0xa0), "a control character");
    }
    require(characters <= LIMIT_EXTRA_STRING_CHARACTERS, "a string past its limit");
}

static void check_token(const struct json_doc *doc, uint32_t token)
{
    static _Alignas(16) char arena_memory[LIMIT_EXTRA];
    struct arena arena;
    if (doc->tokens[token].type != JSON_STRING) return;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    check_string(json_string(doc, token, &arena));
}

/* Depth and members by the brackets and colons that stand outside of strings. */
static struct counts count(struct span text)
{
    struct counts counts = {0};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string) {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            counts.members += c == ':';
        }
        if (depth > counts.depth) counts.depth = depth;
    }
    return counts;
}

static void check_kept(struct span text)
{
    enum json_oracle_verdict verdict;
    struct json_doc doc;
    struct json_oracle *root = json_oracle_load(text.ptr, text.len, &verdict);
    require(verdict == ORACLE_OVERFLOWED || (root && json_oracle_type(root) == ORACLE_OBJECT),
            "what is kept is no object");
    json_oracle_free(root);
    require(json_parse(&doc, text, tokens, TOKENS_MAX, 1) == JSON_OK, "we do not read it");
    for (uint32_t i = 0; i < doc.count; i++)
        check_token(&doc, i);
    struct counts counts = count(text);
    require(counts.depth <= LIMIT_EXTRA_DEPTH, "too deep");
    require(counts.members <= LIMIT_EXTRA_FIELDS_COUNT, "too many members");
}

/* -- what had to stay ---------------------------------------------------------------------------
 */

/* Of such an object nothing may be dropped: short, shallow, of plain characters, few members. */
static bool is_harmless(struct span text)
{
    struct counts counts = count(text);
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == '\\' || text.ptr[i] == 0x7f) return false;
    return text.len <= LIMIT_EXTRA_STRING_CHARACTERS && counts.depth <= LIMIT_EXTRA_DEPTH &&
           counts.members <= LIMIT_EXTRA_FIELDS_COUNT;
}

/* `text` without the white space between its tokens. */
static struct span squeeze(char *into, struct span text)
{
    size_t len = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        in_string ^= text.ptr[i] == '"';
        if (in_string || text.ptr[i] != ' ') into[len++] = text.ptr[i];
    }
    return (struct span){into, len};
}

static void tell_lies(struct kept *kept)
{
    if (lies("control")) {
        char *quote = memchr(kept->text.ptr, '"', kept->text.len);
        if (quote && quote[1] != '"') quote[1] = 0x7f;
    }
    if (lies("object")) kept->text.len--;
    if (lies("count")) kept->dropped++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct choices from = {bytes, size};
    struct kept kept, again;
    if (size > INPUT_MAX) return 0;
    uint8_t choice = choose_byte(&from);
    size_t room = choice % 2 ? 2 + (size_t)choice : sizeof memory[0];
    struct span text = own_copy(choose_rest(&from));
    if (sanitize(&kept, memory[0], room, text)) {
        tell_lies(&kept);
        check_kept(kept.text);
        require(sanitize(&again, memory[1], sizeof memory[1], kept.text), "it is no object");
        if (lies("again")) again.dropped++;
        require(again.dropped == 0 && span_eq(again.text, kept.text),
                "sanitizing twice changes it again");
        if (room > LIMIT_EXTRA && is_harmless(text))
            require(kept.dropped == 0 && span_eq(kept.text, squeeze(memory[2], text)),
                    "what is harmless is changed");
    }
    own_free(text);
    return 0;
}
