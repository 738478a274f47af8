#include "store/postgres/params.h"

#include "base/assert.h"

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
    if (!reserve(params, param, 1)) return;
    param->text[param->size++] = '{';
    end(param, true);
}

void pg_params_reset(struct pg_params *params, int count)
{
    ASSERT(count >= 0 && count <= PG_PARAMS_MAX);
    params->count = count;
    params->is_out_of_memory = false;
    params->is_not_text = false;
    for (int i = 0; i < count; i++)
        start_array(params, &params->values[i]);
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

static void set(struct pg_params *params, int at, const char *bytes, size_t size)
{
    struct pg_param *param = param_at(params, at);
    param->size = 0;
    param->is_array = false;
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
    param->is_null = true;
    param->is_array = false;
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
    param->size = 0;
    param->is_array = false;
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
    char text[I64_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    add_plain(params, at, text, (size_t)len);
}

void pg_add_null(struct pg_params *params, int at)
{
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
    if (!is_text(params, text) || !start_element(params, param, 2 + 2 * text.len)) return;
    put_quoted(param, text);
    end(param, true);
}
