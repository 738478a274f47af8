#include "api/params.h"

#include "base/limits.h"
#include "event/extra.h"
#include "json/write.h"

/* What stands around the texts: names, quotes, a counter. */
enum { PARAMS_FRAME_MAX = 256, JSON_ESCAPED_MAX = 6 };

static const struct field reserved_rows[] = {
    {.name = SPAN_INIT("integration")},   {.name = SPAN_INIT("partner_id")},
    {.name = SPAN_INIT("api_key_label")}, {.name = SPAN_INIT("extra")},
    {.name = SPAN_INIT("extra_dropped")},
};
static const struct fields reserved = {reserved_rows,
                                       sizeof reserved_rows / sizeof reserved_rows[0]};

static bool start(struct writer *out, struct arena *arena, size_t size)
{
    char *memory = arena_alloc(arena, size);
    writer_init(out, memory, memory ? size : 0);
    return memory != NULL;
}

static void add_unlisted(struct extra *extra, const struct params_source *source)
{
    const struct json_doc *doc = source->doc;
    for (uint32_t key = 1; key < doc->tokens[0].end; key = doc->tokens[key + 1].end)
        if (doc->tokens[key].mark) extra_add(extra, doc, key, key + 1);
}

/* A client's own extra that is no object has no place to go. */
static void add_clients(struct extra *extra, const struct json_doc *doc, uint32_t clients)
{
    if (doc->tokens[clients].type != JSON_OBJECT) {
        extra->dropped++;
        return;
    }
    uint32_t end = doc->tokens[clients].end;
    for (uint32_t key = clients + 1; key < end; key = doc->tokens[key + 1].end)
        extra_add(extra, doc, key, key + 1);
}

static void write_extra(struct writer *out, const struct params_source *source, uint32_t clients)
{
    struct extra extra;
    json_write_comma(out);
    json_write_key(out, SPAN("extra"));
    extra_open(&extra, out);
    if (source->unlisted) add_unlisted(&extra, source);
    if (clients) add_clients(&extra, source->doc, clients);
    extra_close(&extra);
    if (extra.dropped) json_write_number_member(out, SPAN("extra_dropped"), extra.dropped);
}

struct span params_of_conversion(const struct params_source *source)
{
    struct writer out;
    if (source->unlisted == 0 || !start(&out, source->arena, LIMIT_EXTRA + PARAMS_FRAME_MAX))
        return SPAN_NONE;
    writer_char(&out, '{');
    write_extra(&out, source, 0);
    writer_char(&out, '}');
    return writer_text(&out);
}

static void copy_members(struct writer *out, const struct params_source *source)
{
    const struct json_doc *doc = source->doc;
    uint32_t end = doc->tokens[source->params].end, next = 0;
    for (uint32_t key = source->params + 1; key < end; key = doc->tokens[key + 1].end) {
        if (fields_find(&reserved, doc, key, source->arena, &next)) continue;
        json_write_comma(out);
        writer_put(out, json_raw(doc, key));
        writer_char(out, ':');
        writer_put(out, json_raw(doc, key + 1));
    }
}

static uint32_t clients_extra(const struct params_source *source)
{
    if (!source->params) return 0;
    uint32_t extra = json_member(source->doc, source->params, SPAN("extra"));
    return extra && source->doc->tokens[extra].type != JSON_NULL ? extra : 0;
}

struct span params_of_event(const struct params_source *source, const struct sender *sender)
{
    size_t size = JSON_ESCAPED_MAX * (sender->partner_id.len + sender->api_key_label.len) +
                  LIMIT_EXTRA + PARAMS_FRAME_MAX;
    if (source->params) size += json_raw(source->doc, source->params).len;
    struct writer out;
    if (!start(&out, source->arena, size)) return SPAN_NONE;
    writer_char(&out, '{');
    if (source->params) copy_members(&out, source);
    json_write_text_member(&out, SPAN("integration"), SPAN("partner_s2s"));
    json_write_text_member(&out, SPAN("partner_id"), sender->partner_id);
    json_write_text_member(&out, SPAN("api_key_label"), sender->api_key_label);
    uint32_t clients = clients_extra(source);
    if (source->unlisted || clients) write_extra(&out, source, clients);
    writer_char(&out, '}');
    return writer_text(&out);
}
