#include "event/extra.h"

#include "base/assert.h"
#include "base/uninitialized.h"
#include "json/write.h"

enum { CHARACTER_LEN_MAX = 4, STRING_LEN_MAX = LIMIT_EXTRA_STRING_CHARACTERS * CHARACTER_LEN_MAX };

_Static_assert(STRING_LEN_MAX <= 4096, "a string is sanitized on the stack");

static void put_children(struct extra *extra, const struct json_doc *doc, uint32_t container);

/* The next character of a string, which the parser found to be well-formed; 0 at the end. */
static size_t take_character(struct json_unescaper *from, unsigned char bytes[CHARACTER_LEN_MAX])
{
    int lead = json_next_byte(from);
    if (lead < 0) return 0;
    bytes[0] = (unsigned char)lead;
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < len; i++)
        bytes[i] = (unsigned char)json_next_byte(from);
    return len;
}

/* Unicode Cc: U+0000 to U+001F and U+007F to U+009F. */
static bool is_control(const unsigned char *bytes)
{
    return bytes[0] < 0x20 || bytes[0] == 0x7f || (bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

/* Whether a string needs nothing: no escape, no character past ASCII, no control, not too long. */
static bool is_clean(const struct json_doc *doc, uint32_t token)
{
    const struct json_token *string = &doc->tokens[token];
    if (string->escaped || string->len > LIMIT_EXTRA_STRING_CHARACTERS) return false;
    unsigned char most = 0; /* what is below a space, no string holds unescaped */
    for (size_t i = 0; i < string->len; i++) {
        unsigned char c = (unsigned char)doc->text.ptr[string->start + i];
        most = c > most ? c : most;
    }
    return most < 0x7f;
}

/* Writes a string with its quotes; returns how many ends were cut: 0 or 1. */
static uint32_t write_sanitized(struct writer *out, const struct json_doc *doc, uint32_t token)
{
    if (is_clean(doc, token)) {
        writer_put(out, json_raw(doc, token));
        return 0;
    }
    UNINITIALIZED char text[STRING_LEN_MAX];
    struct writer clean;
    writer_init(&clean, text, sizeof text);
    struct json_unescaper from = json_unescape(doc, token);
    unsigned char bytes[CHARACTER_LEN_MAX];
    uint32_t characters_count = 0;
    uint32_t cut = 0;
    for (size_t len; (len = take_character(&from, bytes)) > 0;) {
        if (is_control(bytes)) continue;
        if (characters_count++ == LIMIT_EXTRA_STRING_CHARACTERS) {
            cut = 1;
            break;
        }
        writer_put(&clean, (struct span){(const char *)bytes, len});
    }
    json_write_string(out, writer_text(&clean));
    return cut;
}

/* What is written to a part reaches `out` only when the part is committed, and has no room where
 * the brackets of open containers will stand. */
static struct writer begin_part(const struct extra *extra)
{
    struct writer part = *extra->out;
    if (!part.overflow) part.cap = extra->end - extra->depth;
    json_write_comma(&part);
    return part;
}

/* Ends a part with a value, of a container only the bracket that opens it, and commits it. False,
 * and `out` as it was, when the value is to be left out. */
static bool commit_value(struct extra *extra, struct writer *part, const struct json_doc *doc,
                         uint32_t value, uint32_t cuts)
{
    uint8_t type = doc->tokens[value].type;
    bool opens = type == JSON_ARRAY || type == JSON_OBJECT;
    if (opens && extra->depth == LIMIT_EXTRA_DEPTH) return false;
    if (opens)
        writer_put(part, type == JSON_ARRAY ? SPAN("[]") : SPAN("{}"));
    else if (type == JSON_STRING)
        cuts += write_sanitized(part, doc, value);
    else
        writer_put(part, json_raw(doc, value));
    if (part->overflow) return false;
    extra->out->len = part->len - opens;
    extra->dropped += cuts;
    return true;
}

static bool is_written(const struct extra *extra, uint32_t first_key, struct span key)
{
    for (uint32_t i = first_key; i < extra->keys_count; i++)
        if (span_eq(extra->keys[i], key)) return true;
    return false;
}

/* `first_key` is where the keys of the object that the member joins begin. */
static bool put_member(struct extra *extra, const struct json_doc *doc, uint32_t key,
                       uint32_t value, uint32_t first_key)
{
    if (extra->fields_count == LIMIT_EXTRA_FIELDS_COUNT) return false;
    struct writer part = begin_part(extra);
    size_t start = part.len + 1;
    uint32_t cuts = write_sanitized(&part, doc, key);
    if (part.overflow) return false;
    struct span written = {part.base + start, part.len - start - 1};
    writer_char(&part, ':');
    if (is_written(extra, first_key, written) || !commit_value(extra, &part, doc, value, cuts))
        return false;
    extra->fields_count++;
    extra->keys[extra->keys_count++] = written;
    put_children(extra, doc, value);
    return true;
}

static bool put_element(struct extra *extra, const struct json_doc *doc, uint32_t value)
{
    struct writer part = begin_part(extra);
    if (!commit_value(extra, &part, doc, value, 0)) return false;
    put_children(extra, doc, value);
    return true;
}

/* What a container holds, and the bracket that closes it; nothing for any other value. */
static void put_children(struct extra *extra, const struct json_doc *doc, uint32_t container)
{
    const struct json_token *token = &doc->tokens[container];
    bool is_object = token->type == JSON_OBJECT;
    if (!is_object && token->type != JSON_ARRAY) return;
    uint32_t first_key = extra->keys_count;
    extra->depth++;
    for (uint32_t child = container + 1; child < token->end;) {
        uint32_t value = child + is_object;
        bool put = is_object ? put_member(extra, doc, child, value, first_key)
                             : put_element(extra, doc, value);
        extra->dropped += !put;
        child = doc->tokens[value].end;
    }
    extra->depth--;
    extra->keys_count = first_key;
    writer_char(extra->out, is_object ? '}' : ']');
}

void extra_open(struct extra *extra, struct writer *out)
{
    size_t room = out->cap - out->len;
    *extra = (struct extra){.out = out, .depth = 1};
    extra->end = out->len + (room < LIMIT_EXTRA ? room : LIMIT_EXTRA);
    if (room < 2) out->overflow = true;
    writer_char(out, '{');
}

void extra_add(struct extra *extra, const struct json_doc *doc, uint32_t key, uint32_t value)
{
    ASSERT(extra->depth == 1);
    if (!put_member(extra, doc, key, value, 0)) extra->dropped++;
}

void extra_close(struct extra *extra)
{
    ASSERT(extra->depth == 1);
    extra->depth = 0;
    writer_char(extra->out, '}');
}
