/* libFuzzer: json_parse against jansson, on whole inputs and with too few tokens.
 *
 * clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *     -Isrc -Itests/unit tests/fuzz/json_fuzz.c tests/unit/json_{compare,oracle}.c \
 *     src/json/{json,keys,string,utf8,write}.c src/base/{arena,assert,span,writer}.c -ljansson */

#include "json/json.h"
#include "json/write.h"

#include "json_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 16 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct json_token tokens[INPUT_MAX / 2 + 1];
static _Alignas(16) char arena_memory[INPUT_MAX];
static char written[6 * INPUT_MAX + 2];

static void require(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* With fewer tokens the verdict may only turn into JSON_TOO_LARGE. */
static void check_small_cap(struct span text, bool accepted, uint32_t cap)
{
    struct json_doc doc;
    enum json_error error = json_parse(&doc, text, tokens, cap, 1);
    if (accepted) require(error == JSON_OK || error == JSON_TOO_LARGE, "cap changes the verdict");
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
        require(json_next_byte(&from) == (unsigned char)text.ptr[i], "read otherwise");
    require(json_next_byte(&from) < 0, "read longer");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX) return 0;
    struct span text = {(const char *)bytes, size};
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    bool accepted;
    const char *difference = json_compare(text, tokens, &arena, size, &accepted);
    require(!difference, difference);
    check_small_cap(text, accepted, size > 0 ? bytes[0] / 4 : 0);
    check_round_trip(text);
    return 0;
}
