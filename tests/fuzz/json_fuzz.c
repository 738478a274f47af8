#include "json/json.h"

#include "fuzz.h"
#include "json_compare.h"
#include "json/write.h"

#include <string.h>

/* json_parse against jansson, on whole inputs and with too few tokens.
 *
 * Input: the text. */

enum { INPUT_MAX = 16 * 1024 };

static struct json_token tokens[INPUT_MAX / 2 + 1];
static _Alignas(16) char arena_memory[INPUT_MAX];
static char written[6 * INPUT_MAX + 2];

/* Every call of json_parse comes here (the linker's --wrap), json_compare's too. */
enum json_error __real_json_parse(struct json_doc *doc, struct span text, struct json_token *into,
                                  uint32_t cap, uint64_t seed);
enum json_error __wrap_json_parse(struct json_doc *doc, struct span text, struct json_token *into,
                                  uint32_t cap, uint64_t seed);

enum json_error __wrap_json_parse(struct json_doc *doc, struct span text, struct json_token *into,
                                  uint32_t cap, uint64_t seed)
{
    enum json_error error = __real_json_parse(doc, text, into, cap, seed);
    bool is_scalar = error == JSON_OK && into[0].type <= JSON_STRING;
    if (is_scalar && into[0].len > 1 && lies("value")) into[0].len--;
    if (lies("verdict")) return error == JSON_OK ? JSON_SYNTAX : JSON_OK;
    if (lies("cap") && error == JSON_TOO_LARGE) return JSON_OK;
    return error;
}

/* With fewer tokens the verdict may only turn into JSON_TOO_LARGE. */
static void check_small_cap(struct span text, bool accepted, uint32_t cap)
{
    struct json_doc doc;
    enum json_error error = json_parse(&doc, text, tokens, cap, 1);
    if (accepted) require(error == JSON_OK || error == JSON_TOO_LARGE, "cap changes the verdict");
    if (error == JSON_OK) require(doc.count <= cap, "more tokens than there was room for");
    if (!accepted) require(error != JSON_OK, "cap makes it pass");
}

/* Any UTF-8 text survives being written and read. */
static void check_round_trip(struct span text)
{
    if (!json_utf8_valid(text) || memchr(text.ptr, '\0', text.len)) return;
    struct writer out;
    writer_init(&out, written, sizeof written);
    json_write_string(&out, text);
    require(!out.overflow, "writing takes more than six bytes for one");
    struct json_doc doc;
    struct json_token token;
    require(json_parse(&doc, writer_text(&out), &token, 1, 1) == JSON_OK, "written, not read");
    struct json_unescaper from = json_unescape(&doc, 0);
    for (size_t i = 0; i < text.len; i++)
        require((json_next_byte(&from) ^ lies("written")) == (unsigned char)text.ptr[i],
                "read otherwise");
    require(json_next_byte(&from) < 0, "read longer");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX) return 0;
    struct span text = own_copy((struct span){(const char *)bytes, size});
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    bool accepted;
    const char *difference = json_compare(text, tokens, &arena, size, &accepted);
    require(!difference, difference);
    check_small_cap(text, accepted, size > 0 ? bytes[0] / 4 : 0);
    check_round_trip(text);
    own_free(text);
    return 0;
}
