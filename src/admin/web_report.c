#include "admin/report_ask.h"
#include "admin/report_write.h"
#include "admin/web_pages.h"
#include "event/query.h"

#include <stdio.h>

/* GET /v1/reports/KIND: what `adtally report` prints, as JSON unless told. */

/* What one report may count by itself while the listener waits for it: less than two seconds. */
enum { BEHIND_MAX = 262144 };

static const struct span prefix = SPAN_INIT("/v1/reports/");

static bool decode(struct web_request *request, struct span raw, struct span *out)
{
    struct writer text;
    char *memory = arena_alloc(request->http->arena, raw.len + 1);
    writer_init(&text, memory, memory ? raw.len + 1 : 0);
    if (!query_decode(&text, raw) || text.overflow) return false;
    *out = writer_text(&text);
    return true;
}

static bool set_parameters(struct web_request *request, struct report_ask *ask, char *problem)
{
    struct span rest = request->http->query;
    while (rest.ptr && rest.len) {
        struct span value = span_split(&rest, '&'), name = span_split(&value, '=');
        if (!decode(request, name, &name) || !decode(request, value, &value)) {
            snprintf(problem, REPORT_PROBLEM_MAX, "a parameter cannot be decoded");
            return false;
        }
        if (!report_ask_set(ask, name, value, problem)) return false;
    }
    return true;
}

static bool read_ask(struct web_request *request, struct report_ask *ask, char *problem)
{
    struct span path = request->http->path;
    struct span kind = {path.ptr + prefix.len, path.len - prefix.len};
    report_ask_init(ask);
    ask->format = REPORT_FORMAT_JSON;
    return report_ask_kind(ask, kind, problem) && set_parameters(request, ask, problem) &&
           report_ask_finish(ask, problem);
}

static bool put(void *arg, struct span text)
{
    writer_put(arg, text);
    return !((struct writer *)arg)->overflow;
}

static void answer(struct web_request *request, const struct report_table *table,
                   enum report_format format)
{
    static const char *const types[] = {
        [REPORT_FORMAT_TEXT] = WEB_TEXT,
        [REPORT_FORMAT_CSV] = "text/csv; charset=utf-8; header=present",
        [REPORT_FORMAT_JSON] = WEB_JSON,
    };
    struct writer out;
    web_writer(request, &out);
    enum err err = report_write(table, format, put, &out);
    if (err)
        web_refuse(request, 422, "the report is too long: ask for fewer columns, or for a part");
    else
        web_respond(request, 200, types[format], writer_text(&out));
}

static void refuse_err(struct web_request *request, enum err err)
{
    if (err == ERR_FULL)
        web_refuse(request, 422, "the report is too long: ask for fewer columns, or for a part");
    else if (err == ERR_BUSY)
        web_refuse(request, 503, "the sums for reports are being counted: ask again in a minute");
    else if (err == ERR_UNREACHABLE || err == ERR_REFUSED)
        web_refuse(request, 503, "the database does not answer: the log tells more");
    else
        web_refuse(request, 503, "the report cannot be made: adtally verify tells more");
}

static enum err run(struct report_db *db, const struct report_query *query,
                    struct report_table **table)
{
    int64_t behind = 0;
    enum err err = report_behind(db, &behind);
    if (!err && behind > BEHIND_MAX) err = ERR_BUSY;
    return err ? err : report_run(db, query, table);
}

static void report(struct web_request *request, const struct report_ask *ask)
{
    char problem[STORE_PROBLEM_MAX];
    struct report_db *db;
    struct report_table *table = NULL;
    enum err err = report_open(&db, request->admin->dir, request->admin->url, problem);
    if (!err) {
        err = run(db, &ask->query, &table);
        report_close(db);
    }
    if (err)
        refuse_err(request, err);
    else
        answer(request, table, ask->format);
    if (!err) report_table_free(table);
}

void report_handle(struct web_request *request)
{
    char problem[REPORT_PROBLEM_MAX];
    struct report_ask *ask = arena_alloc(request->http->arena, sizeof *ask);
    if (!ask)
        web_refuse(request, 503, "there is not enough memory for this report");
    else if (!read_ask(request, ask, problem))
        web_refuse(request, 422, problem);
    else
        report(request, ask);
}
