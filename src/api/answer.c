#include "api/answer.h"

#include "base/clock.h"
#include "token/receipt.h"

enum { HEADER_LINES_MAX = 384 };

/* Any page may read the answers of the routes that browsers call (contract section 2). */
static struct span cors_lines(const struct api_request *request)
{
    if (!request->route || !request->route->is_cors) return SPAN("");
    return SPAN("Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: retry-after\r\n");
}

static void count(const struct api_request *request)
{
    struct loop_metrics *metrics = request->loop->metrics;
    size_t route = route_number(request->route);
    metrics_add(&metrics->requests[route][request->disposition], 1);
    metrics_observe(&metrics->latency[route], (uint64_t)(clock_mono_us() - request->began_us),
                    METRICS_TIME_SHIFT);
}

static void respond(struct api_request *request, int status, struct span header_lines,
                    struct span body)
{
    if (request->loop) {
        count(request);
        if (metrics_read(&request->loop->api->metrics.watchers)) tail_note(request, status);
    }
    struct http_response response = {.status = status,
                                     .header_lines = header_lines,
                                     .body = body,
                                     .body_is_borrowed = true,
                                     .reason = request->reason};
    http_respond(request->http, &response);
}

void answer_json(struct api_request *request, int status, struct span header_lines,
                 struct span body)
{
    char memory[HEADER_LINES_MAX];
    struct writer lines;
    writer_init(&lines, memory, sizeof memory);
    writer_lit(&lines, "Content-Type: application/json\r\n");
    writer_put(&lines, cors_lines(request));
    writer_put(&lines, header_lines);
    respond(request, status, writer_text(&lines), body);
}

void answer_not_ready(struct api_request *request, const char *reason, struct span body)
{
    request->reason = reason;
    request->disposition = DISPOSITION_REFUSED + REJECT_UNAVAILABLE;
    answer_json(request, 503, SPAN("Retry-After: 1\r\n"), body);
}

void answer_text(struct api_request *request, struct span body)
{
    respond(request, 200, SPAN("Content-Type: text/plain\r\n"), body);
}

void answer_empty(struct api_request *request, int status)
{
    respond(request, status, cors_lines(request), SPAN_NONE);
}

void answer_preflight(struct api_request *request)
{
    char memory[HEADER_LINES_MAX];
    struct writer lines;
    writer_init(&lines, memory, sizeof memory);
    writer_lit(&lines, "Access-Control-Allow-Methods: ");
    writer_put(&lines, route_methods(request->route));
    writer_lit(&lines, "\r\nAccess-Control-Allow-Headers: content-type, x-api-key\r\n"
                       "Access-Control-Max-Age: 86400\r\n");
    writer_put(&lines, cors_lines(request));
    respond(request, 204, writer_text(&lines), SPAN_NONE);
}

/* A transparent pixel. */
static const unsigned char gif[43] = {
    'G',  'I',  'F',  '8',  '9',  'a',  0x01, 0x00, 0x01, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00,
    0x00, 0xff, 0xff, 0xff, 0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x02, 0x02, 0x44, 0x01, 0x00, 0x3b};

void answer_gif(struct api_request *request)
{
    char memory[HEADER_LINES_MAX];
    struct writer lines;
    writer_init(&lines, memory, sizeof memory);
    writer_lit(&lines, "Content-Type: image/gif\r\nCache-Control: no-store\r\n");
    writer_put(&lines, cors_lines(request));
    respond(request, 200, writer_text(&lines), (struct span){(const char *)gif, sizeof gif});
}

void answer_receipt(struct api_request *request, int status, struct span body)
{
    static const char name[] = "adtally-receipt: ";
    char line[sizeof name - 1 + RECEIPT_LEN + 2];
    struct writer out;
    writer_init(&out, line, sizeof line);
    writer_put(&out, span_of(name));
    char *receipt = writer_claim(&out, RECEIPT_LEN);
    receipt_write(receipt, keyring_receipt_key(request->loop->api->keyring), request->op.sequence);
    writer_lit(&out, "\r\n");
    if (body.ptr)
        answer_json(request, status, writer_text(&out), body);
    else
        respond(request, status, writer_text(&out), SPAN_NONE);
}

void answer_redirect(struct api_request *request, struct span location)
{
    static const char before[] = "Location: ", after[] = "\r\nCache-Control: no-store\r\n";
    size_t size = sizeof before + sizeof after + location.len;
    struct writer lines;
    char *memory = arena_alloc(request->http->arena, size);
    writer_init(&lines, memory, memory ? size : 0);
    writer_put(&lines, span_of(before));
    writer_put(&lines, location);
    writer_put(&lines, span_of(after));
    if (lines.overflow)
        answer_refusal(request, REJECT_UNAVAILABLE);
    else
        respond(request, 302, writer_text(&lines), SPAN_NONE);
}

static void note_reject(struct api_request *request, enum reject reject)
{
    request->reason = reject_row(reject)->label;
    request->disposition = DISPOSITION_REFUSED + reject;
}

static struct span row_body(struct api_request *request, enum reject reject)
{
    enum dialect dialect = request->route ? request->route->dialect : DIALECT_DETAIL;
    note_reject(request, reject);
    return reject_row(reject)->body[dialect];
}

static struct span refusal_lines(const struct api_request *request, enum reject reject)
{
    switch (reject) {
    case REJECT_BEARER_MISSING:
    case REJECT_KEY_INVALID:
        if (request->route->dialect != DIALECT_DETAIL) return SPAN(""); /* no scheme to name */
        return SPAN("WWW-Authenticate: Bearer\r\n");
    case REJECT_UNAVAILABLE:
    case REJECT_SERVER_ERROR:
        return SPAN("Retry-After: 1\r\n");
    default:
        return SPAN("");
    }
}

static void answer_method(struct api_request *request)
{
    char memory[64];
    struct writer line;
    writer_init(&line, memory, sizeof memory);
    writer_lit(&line, "Allow: ");
    writer_put(&line, route_methods(request->route));
    writer_lit(&line, "\r\n");
    answer_json(request, reject_row(REJECT_METHOD)->status, writer_text(&line),
                row_body(request, REJECT_METHOD));
}

void answer_refusal(struct api_request *request, enum reject reject)
{
    if (reject == REJECT_METHOD) {
        answer_method(request);
        return;
    }
    answer_json(request, reject_row(reject)->status, refusal_lines(request, reject),
                row_body(request, reject));
}

void answer_rate_limited(struct api_request *request, int64_t wait_ms)
{
    char line[64];
    struct writer out;
    writer_init(&out, line, sizeof line);
    writer_lit(&out, "Retry-After: ");
    writer_i64(&out, (wait_ms + 999) / 1000);
    writer_lit(&out, "\r\n");
    answer_json(request, reject_row(REJECT_RATE_LIMITED)->status, writer_text(&out),
                row_body(request, REJECT_RATE_LIMITED));
}

void answer_problems(struct api_request *request, int status, const struct problems *problems)
{
    struct span body = problems_text(problems, request->route->dialect);
    if (!body.ptr) {
        answer_refusal(request, REJECT_TOO_LARGE);
        return;
    }
    note_reject(request, REJECT_VALIDATION);
    answer_json(request, status, SPAN(""), body);
}
