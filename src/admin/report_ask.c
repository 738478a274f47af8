#include "admin/report_ask.h"

#include "event/datetime.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LIMIT_MAX = 10000, DAY_S = 24 * 60 * 60, DATE_LEN = 10, YEAR_MAX = 9998 };

static bool refuse(char problem[REPORT_PROBLEM_MAX], const char *sentence)
{
    snprintf(problem, REPORT_PROBLEM_MAX, "%s", sentence);
    return false;
}

void report_ask_init(struct report_ask *ask)
{
    report_query_init(&ask->query);
    ask->format = REPORT_FORMAT_TEXT;
    ask->from = ask->to = ask->zone_name = SPAN_NONE;
}

static int find_name(const struct span names[], int count, struct span name)
{
    for (int i = 0; i < count; i++)
        if (span_eq(names[i], name)) return i;
    return -1;
}

bool report_ask_kind(struct report_ask *ask, struct span kind, char problem[REPORT_PROBLEM_MAX])
{
    int found = find_name(report_kind_names, REPORT_KINDS, kind);
    if (found < 0) return refuse(problem, "a report is traffic, money, reasons, comments or polls");
    ask->query.kind = (enum report_kind)found;
    return true;
}

static bool is_asked(const struct report_query *query, enum report_dimension dimension)
{
    for (size_t i = 0; i < query->by_count; i++)
        if (query->by[i] == dimension) return true;
    return false;
}

static bool set_by(struct report_ask *ask, struct span value, char problem[REPORT_PROBLEM_MAX])
{
    struct report_query *query = &ask->query;
    query->by_count = 0;
    while (value.ptr) {
        struct span name = span_trim(span_split(&value, ','));
        int found = find_name(report_dimension_names, REPORT_DIMENSIONS, name);
        if (found < 0)
            return refuse(problem, "by takes campaign, publisher, product, placement, advertiser,"
                                   " day and hour, with commas between them");
        if (is_asked(query, (enum report_dimension)found))
            return refuse(problem, "by names each column once");
        query->by[query->by_count++] = (enum report_dimension)found;
        if (is_asked(query, REPORT_DAY) && is_asked(query, REPORT_HOUR))
            return refuse(problem, "by takes day or hour, not both: an hour has its day");
    }
    return true;
}

static bool set_filter(struct report_ask *ask, enum report_dimension dimension, struct span value,
                       char problem[REPORT_PROBLEM_MAX])
{
    struct report_query *query = &ask->query;
    if (query->filters_count == REPORT_FILTERS_MAX)
        return refuse(problem, "a report takes at most 64 filters");
    query->filters[query->filters_count++] = (struct report_filter){dimension, value};
    return true;
}

static bool set_limit(struct report_ask *ask, struct span value, char problem[REPORT_PROBLEM_MAX])
{
    unsigned long long limit;
    if (!span_to_u64(value, LIMIT_MAX, &limit) || limit == 0)
        return refuse(problem, "limit is a whole number from 1 to 10000");
    ask->query.limit = (int64_t)limit;
    return true;
}

static bool set_flagged(struct report_ask *ask, struct span value, char problem[REPORT_PROBLEM_MAX])
{
    bool is_on = span_eq(value, SPAN("on"));
    if (!is_on && !span_eq(value, SPAN("off")))
        return refuse(problem, "exclude-flagged is on or off");
    ask->query.exclude_flagged = is_on;
    return true;
}

static bool set_format(struct report_ask *ask, struct span value, char problem[REPORT_PROBLEM_MAX])
{
    static const struct span names[] = {SPAN_INIT("text"), SPAN_INIT("csv"), SPAN_INIT("json")};
    int found = find_name(names, 3, value);
    if (found < 0) return refuse(problem, "format is text, csv or json");
    ask->format = (enum report_format)found;
    return true;
}

bool report_ask_set(struct report_ask *ask, struct span name, struct span value,
                    char problem[REPORT_PROBLEM_MAX])
{
    int dimension = find_name(report_dimension_names, REPORT_IDS, name);
    if (dimension >= 0) return set_filter(ask, (enum report_dimension)dimension, value, problem);
    if (span_eq(name, SPAN("by"))) return set_by(ask, value, problem);
    if (span_eq(name, SPAN("limit"))) return set_limit(ask, value, problem);
    if (span_eq(name, SPAN("format"))) return set_format(ask, value, problem);
    if (span_eq(name, SPAN("exclude-flagged"))) return set_flagged(ask, value, problem);
    struct span *text = span_eq(name, SPAN("from")) ? &ask->from
                        : span_eq(name, SPAN("to")) ? &ask->to
                        : span_eq(name, SPAN("tz")) ? &ask->zone_name
                                                    : NULL;
    if (!text)
        return refuse(problem, "a report takes by, from, to, tz, exclude-flagged, limit, format,"
                               " campaign, publisher, product, placement and advertiser");
    *text = value;
    return true;
}

static bool read_zone_file(struct report_ask *ask, const char *path, struct span *out)
{
    size_t len = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    while (len < sizeof ask->zone_file &&
           (got = read(fd, ask->zone_file + len, sizeof ask->zone_file - len)) > 0)
        len += (size_t)got;
    close(fd);
    *out = (struct span){ask->zone_file, len};
    return got == 0;
}

static bool read_zone(struct report_ask *ask, char problem[REPORT_PROBLEM_MAX])
{
    struct span name = ask->zone_name, file;
    char path[REPORT_ZONE_NAME_MAX + sizeof "/usr/share/zoneinfo/"];
    if (!name.ptr || span_eq(name, SPAN("UTC"))) return true;
    if (!zone_is_name(name)) return refuse(problem, "tz is a name like Europe/Berlin");
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", SPAN_FMT(name));
    if (read_zone_file(ask, path, &file) && zone_parse(&ask->query.zone, file)) return true;
    snprintf(problem, REPORT_PROBLEM_MAX,
             "no time zone is called %.*s in /usr/share/zoneinfo (package tzdata)", SPAN_FMT(name));
    return false;
}

static bool read_date(struct span text, struct zone_date *out)
{
    int64_t ms;
    if (text.len != DATE_LEN) return false;
    char full[DATE_LEN + sizeof "T00:00:00Z"];
    snprintf(full, sizeof full, "%.*sT00:00:00Z", SPAN_FMT(text));
    if (!datetime_parse_rfc3339(&ms, span_of(full))) return false;
    *out = zone_date_of(ms / 1000 / DAY_S - (ms < 0 && ms / 1000 % DAY_S));
    return true;
}

/* The first quarter that this zone calls that day, or a later one: a day may begin at one o'clock,
 * and one was left out where a date line moved. */
static int64_t day_begin_ms(const struct zone *zone, int64_t days)
{
    enum { SPREAD_S = 27 * 60 * 60, QUARTER_S = REPORT_QUARTER_MS / 1000 };
    int64_t instant_s = days * DAY_S - SPREAD_S;
    while (instant_s + zone_offset(zone, instant_s) < days * DAY_S)
        instant_s += QUARTER_S;
    return instant_s * 1000;
}

static bool read_time(const struct report_ask *ask, struct span text, bool is_end, int64_t *out,
                      const char *problem_text, char problem[REPORT_PROBLEM_MAX])
{
    struct zone_date date;
    if (!text.ptr) return true;
    if (read_date(text, &date)) {
        *out = day_begin_ms(&ask->query.zone, zone_days(date) + is_end);
        return true;
    }
    if (datetime_parse_rfc3339(out, text) && *out % REPORT_QUARTER_MS == 0) return true;
    return refuse(problem, problem_text);
}

bool report_ask_finish(struct report_ask *ask, char problem[REPORT_PROBLEM_MAX])
{
    struct report_query *query = &ask->query;
    if (query->kind == REPORT_COMMENTS && query->by_count)
        return refuse(problem, "comments are listed one by one: leave out by");
    if (!read_zone(ask, problem)) return false;
    if (!read_time(ask, ask->from, false, &query->from_ms,
                   "from is a day like 2026-11-21, or a time on a quarter of an hour like"
                   " 2026-11-21T06:15:00Z",
                   problem) ||
        !read_time(ask, ask->to, true, &query->to_ms,
                   "to is a day like 2026-11-21, which is still in it, or a time on a quarter of an"
                   " hour like 2026-11-21T06:15:00Z, which is not",
                   problem))
        return false;
    return query->from_ms < query->to_ms || refuse(problem, "from has to be before to");
}
