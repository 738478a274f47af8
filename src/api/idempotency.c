#include "api/idempotency.h"

#include "base/limits.h"

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '!' || text.ptr[i] > '~') return false;
    return true;
}

/* The content of an sf-string; false when it is none. RFC 8941 knows two escapes: \" and \\. */
static bool unquote(struct span *content, struct span text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len);
    size_t len = 0;
    bool closed = false;
    for (size_t i = 1; out && i < text.len; i++) {
        char c = text.ptr[i];
        if (closed) return false;
        if (c == '"') {
            closed = true;
            continue;
        }
        if (c == '\\') {
            if (++i == text.len || (text.ptr[i] != '"' && text.ptr[i] != '\\')) return false;
            c = text.ptr[i];
        }
        out[len++] = c;
    }
    *content = (struct span){out, len};
    return closed;
}

enum idempotency idempotency_parse(struct span *key, struct span value, struct arena *arena)
{
    struct span content = span_trim(value);
    if (content.len > 0 && content.ptr[0] == '"' && !unquote(&content, content, arena))
        return IDEMPOTENCY_INVALID;
    if (span_trim(content).len == 0) return IDEMPOTENCY_ABSENT;
    if (content.len > LIMIT_IDEMPOTENCY_KEY) return IDEMPOTENCY_TOO_LONG;
    if (!is_visible(content)) return IDEMPOTENCY_INVALID;
    *key = content;
    return IDEMPOTENCY_KEY;
}

void idempotency_problem(struct problems *problems, enum idempotency found)
{
    struct problem problem = {.type = PROBLEM_VALUE,
                              .place = {.part = SPAN("header"), .name = SPAN("idempotency-key")},
                              .msg = "Input should be one header of visible ASCII characters",
                              .bytes_max = LIMIT_IDEMPOTENCY_KEY};
    if (found == IDEMPOTENCY_TOO_LONG) {
        problem.type = PROBLEM_TOO_LONG;
        problem.msg = NULL;
    }
    problems_add(problems, &problem);
}
