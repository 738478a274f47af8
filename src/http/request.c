#include "http/http.h"

size_t http_request_header(const struct http_request *request, struct span name, struct span *value)
{
    size_t count = 0;
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len != name.len || !span_eq_nocase(header->name, name)) continue;
        if (count++ == 0 && value) *value = header->value;
    }
    return count;
}
