#include "store/postgres/params.h"

#include "base/assert.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pg_params_fini(struct pg_params *params)
{
    for (int i = 0; i < PG_PARAMS_MAX; i++)
        free(params->values[i].text);
    *params = (struct pg_params){.count = 0};
}

/* Room for so many bytes more and the end of the array: '}' and NUL. */
static bool reserve(struct pg_params *params, struct pg_param *param, size_t more)
{
    enum { END = 2, FIRST = 256 };
    if (param->cap - param->size >= more + END) return true;
    size_t cap = param->cap ? param->cap : FIRST;
    while (cap - param->size < more + END)
        cap *= 2;
    char *text = realloc(param->text, cap);
    if (!text) {
        params->is_out_of_memory = true;
        return false;
    }
    param->text = text;
    param->cap = cap;
    return true;
}

/* -- binary arrays ------------------------------------------------------------------------- */

/* As PostgreSQL numbers types; no other engine numbers these two differently. */
enum { OID_BIGINT = 20, OID_TEXT = 25 };

/* Big-endian words: dimensions, whether there are NULLs, the elements' type, how many there are,
 * the first one's index; then each element behind its length. */
enum { AT_HAS_NULL = 4, AT_COUNT = 12, HEADER_SIZE = 20 };

static void write_u32(char *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
}

static void start_binary(struct pg_params *params, struct pg_param *param, uint32_t type)
{
    const uint32_t header[] = {1, 0, type, 0, 1};
    param->size = 0;
    param->count = 0;
    param->is_null = false;
    param->is_array = param->is_binary = true;
    if (!reserve(params, param, HEADER_SIZE)) return;
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++)
        write_u32(param->text + i * sizeof header[0], header[i]);
    param->size = HEADER_SIZE;
}

/* `ptr` NULL: so is the element. */
static void add_binary(struct pg_params *params, struct pg_param *param, const void *ptr,
                       size_t size)
{
    enum { LENGTH_SIZE = 4 };
    if (!reserve(params, param, LENGTH_SIZE + size)) return;
    write_u32(param->text + param->size, ptr ? (uint32_t)size : UINT32_MAX);
    param->size += LENGTH_SIZE;
    if (size) memcpy(param->text + param->size, ptr, size);
    param->size += size;
    write_u32(param->text + AT_COUNT, ++param->count);
    if (!ptr) write_u32(param->text + AT_HAS_NULL, 1);
}

/* -- texts --------------------------------------------------------------------------------- */

static void end(struct pg_param *param, bool is_array)
{
    char *at = param->text + param->size;
    if (is_array) *at++ = '}';
    *at = '\0';
}

static void start_array(struct pg_params *params, struct pg_param *param)
{
    param->size = 0;
    param->count = 0;
    param->is_null = false;
    param->is_array = true;
    param->is_binary = false;
    if (!reserve(params, param, 1)) return;
    param->text[param->size++] = '{';
    end(param, true);
}

static void start(struct pg_params *params, int count)
{
    ASSERT(count >= 0 && count <= PG_PARAMS_MAX);
    params->count = count;
    params->is_out_of_memory = false;
    params->is_not_text = false;
}

void pg_params_reset(struct pg_params *params, int count)
{
    start(params, count);
    for (int i = 0; i < count; i++)
        start_array(params, &params->values[i]);
}

void pg_params_reset_binary(struct pg_params *params, const char *types)
{
    start(params, (int)strlen(types));
    for (int i = 0; i < params->count; i++)
        start_binary(params, &params->values[i], types[i] == 't' ? OID_TEXT : OID_BIGINT);
}

static struct pg_param *param_at(struct pg_params *params, int at)
{
    ASSERT(at >= 0 && at < params->count);
    return &params->values[at];
}

static void put(struct pg_param *param, const void *bytes, size_t size)
{
    memcpy(param->text + param->size, bytes, size);
    param->size += size;
}

static void start_value(struct pg_param *param)
{
    param->size = 0;
    param->is_array = param->is_binary = false;
}

static void set(struct pg_params *params, int at, const char *bytes, size_t size)
{
    struct pg_param *param = param_at(params, at);
    start_value(param);
    param->is_null = false;
    if (!reserve(params, param, size)) return;
    put(param, bytes, size);
    end(param, false);
}

static bool is_text(struct pg_params *params, struct span text)
{
    bool is_whole = text.len == 0 || !memchr(text.ptr, '\0', text.len);
    if (!is_whole) params->is_not_text = true;
    return is_whole;
}

enum { I64_TEXT_MAX = 24 };

void pg_set_i64(struct pg_params *params, int at, int64_t value)
{
    char text[I64_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    set(params, at, text, (size_t)len);
}

void pg_set_null(struct pg_params *params, int at)
{
    struct pg_param *param = param_at(params, at);
    start_value(param);
    param->is_null = true;
}

void pg_set_text(struct pg_params *params, int at, struct span text)
{
    if (!text.ptr)
        pg_set_null(params, at);
    else if (is_text(params, text))
        set(params, at, text.ptr, text.len);
}

void pg_set_bytes(struct pg_params *params, int at, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    struct pg_param *param = param_at(params, at);
    start_value(param);
    param->is_null = false;
    if (!reserve(params, param, 2 + 2 * size)) return;
    put(param, "\\x", 2);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i];
        put(param, &digits[byte >> 4], 1);
        put(param, &digits[byte & 15], 1);
    }
    end(param, false);
}

/* Room for an element of `size` bytes at most, after its comma. */
static bool start_element(struct pg_params *params, struct pg_param *param, size_t size)
{
    ASSERT(param->is_array);
    if (!reserve(params, param, 1 + size)) return false;
    if (param->count++) put(param, ",", 1);
    return true;
}

static void add_plain(struct pg_params *params, int at, const char *text, size_t len)
{
    struct pg_param *param = param_at(params, at);
    if (!start_element(params, param, len)) return;
    put(param, text, len);
    end(param, true);
}

void pg_add_i64(struct pg_params *params, int at, int64_t value)
{
    struct pg_param *param = param_at(params, at);
    if (param->is_binary) {
        uint64_t bytes = htobe64((uint64_t)value);
        add_binary(params, param, &bytes, sizeof bytes);
        return;
    }
    char text[I64_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    add_plain(params, at, text, (size_t)len);
}

void pg_add_null(struct pg_params *params, int at)
{
    struct pg_param *param = param_at(params, at);
    if (param->is_binary)
        add_binary(params, param, NULL, 0);
    else
        add_plain(params, at, "NULL", 4);
}

/* In quotes, always: an empty text, the text NULL, braces and commas are texts then. */
static void put_quoted(struct pg_param *param, struct span text)
{
    char *at = param->text + param->size;
    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') *at++ = '\\';
        *at++ = text.ptr[i];
    }
    *at++ = '"';
    param->size = (size_t)(at - param->text);
}

void pg_add_text(struct pg_params *params, int at, struct span text)
{
    struct pg_param *param = param_at(params, at);
    if (!text.ptr) {
        pg_add_null(params, at);
        return;
    }
    if (!is_text(params, text)) return;
    if (param->is_binary) {
        add_binary(params, param, text.ptr, text.len);
        return;
    }
    if (!start_element(params, param, 2 + 2 * text.len)) return;
    put_quoted(param, text);
    end(param, true);
}
