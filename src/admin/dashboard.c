#include "admin/command.h"
#include "admin/web_pages.h"
#include "base/clock.h"
#include "base/embedded.h"
#include "json/write.h"

/* Of the build: /index.html, /signin.html and what is below /assets. */
extern const struct embedded dashboard_assets[];
extern const size_t dashboard_assets_count;

static const struct embedded *find_asset(struct span path)
{
    return embedded_find(dashboard_assets, dashboard_assets_count, path);
}

/* Which page it is depends on the cookie: nothing may keep it. */
void dashboard_handle(struct web_request *request)
{
    const struct embedded *page =
        find_asset(request->key ? SPAN("/index.html") : SPAN("/signin.html"));
    web_answer(request, &(struct web_answer){.status = 200,
                                             .content_type = WEB_HTML,
                                             .body = page->body,
                                             .body_is_static = true});
}

static bool has_same(const struct http_request *http, struct span etag)
{
    struct span rest = SPAN_NONE;
    http_request_header(http, SPAN("if-none-match"), &rest);
    while (rest.ptr) {
        struct span known = span_trim(span_split(&rest, ','));
        if (span_starts_with(known, SPAN("W/")))
            known = (struct span){known.ptr + 2, known.len - 2};
        if (span_eq(known, etag)) return true;
    }
    return false;
}

/* Kept by the browser and asked for again: a new version of the program shows at once. */
void dashboard_asset_handle(struct web_request *request)
{
    char memory[96];
    struct writer lines;
    const struct embedded *asset = find_asset(request->http->path);
    if (!asset) {
        web_refuse(request, 404, "Not Found");
        return;
    }
    writer_init(&lines, memory, sizeof memory);
    writer_lit(&lines, "Cache-Control: no-cache\r\nETag: ");
    writer_put(&lines, asset->etag);
    writer_lit(&lines, "\r\n");
    struct web_answer answer = {.status = 304, .header_lines = writer_text(&lines)};
    if (!has_same(request->http, asset->etag)) {
        answer.status = 200;
        answer.content_type = asset->content_type;
        answer.body = asset->body;
        answer.body_is_static = true;
    }
    web_answer(request, &answer);
}

static struct span state_of(const struct api_key *key)
{
    if (key->revoked_at_ms) return SPAN("revoked");
    if (key->expires_at_ms && key->expires_at_ms <= clock_wall_ms()) return SPAN("expired");
    return SPAN("active");
}

static void write_key(const struct api_key *key, void *arg)
{
    struct writer *out = arg;
    struct keyring_use use = keyring_use_of(key);
    json_write_comma(out);
    writer_char(out, '{');
    admin_write_key(out, key);
    json_write_text_member(out, SPAN("state"), state_of(key));
    json_write_number_member(out, SPAN("uses"), (int64_t)use.count);
    if (use.last_ms) json_write_number_member(out, SPAN("used_at_ms"), use.last_ms);
    writer_char(out, '}');
}

void dashboard_keys_handle(struct web_request *request)
{
    struct writer out;
    web_writer(request, &out);
    writer_lit(&out, "{\"keys\":[");
    keyring_each(ledger_keyring(request->admin->ledger), write_key, &out);
    writer_lit(&out, "]}");
    if (out.overflow)
        web_refuse(request, 500, "there are too many keys to list");
    else
        web_respond(request, 200, WEB_JSON, writer_text(&out));
}
