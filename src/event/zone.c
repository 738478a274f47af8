#include "event/zone.h"

#include <string.h>

enum {
    HEADER_SIZE = 44,
    COUNTS_AT = 20,
    TIME_SIZE = 8,
    TYPE_SIZE = 6,
    COUNT_MAX = 1 << 16,
    DAY_S = 24 * 60 * 60,
    HOUR_S = 60 * 60,
    WEEK_DAYS = 7,
    OFFSET_MAX_S = 26 * 60 * 60,
    RULE_HOURS_MAX = 167, /* RFC 8536 section 3.3.1 */
};

/* Of the header, in its order. */
struct counts {
    uint32_t isut, isstd, leap, time, type, chars;
};

static uint64_t big_endian(const char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | (uint8_t)bytes[i];
    return value;
}

static bool take(struct span *rest, size_t size, struct span *out)
{
    if (size > rest->len) return false;
    *out = (struct span){rest->ptr, size};
    *rest = (struct span){rest->ptr + size, rest->len - size};
    return true;
}

static bool take_header(struct span *rest, struct counts *out)
{
    struct span header;
    uint32_t counts[6];
    if (!take(rest, HEADER_SIZE, &header) || memcmp(header.ptr, "TZif", 4) != 0) return false;
    if (header.ptr[4] < '2') return false;
    for (size_t i = 0; i < 6; i++) {
        counts[i] = (uint32_t)big_endian(header.ptr + COUNTS_AT + 4 * i, 4);
        if (counts[i] > COUNT_MAX) return false;
    }
    *out = (struct counts){counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
    return out->type > 0;
}

static size_t block_size(const struct counts *counts, size_t time_size)
{
    return counts->time * (time_size + 1) + counts->type * TYPE_SIZE + counts->chars +
           counts->leap * (time_size + 4) + counts->isstd + counts->isut;
}

static char peek(const struct span *text)
{
    return text->len ? text->ptr[0] : 0;
}

static bool take_char(struct span *text, char c)
{
    if (peek(text) != c || !text->len) return false;
    *text = (struct span){text->ptr + 1, text->len - 1};
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_number(struct span *text, int max, int *out)
{
    int value = 0, digits = 0;
    for (; is_digit(peek(text)) && digits < 4; digits++) {
        value = value * 10 + (peek(text) - '0');
        take_char(text, peek(text));
    }
    *out = value;
    return digits > 0 && value <= max;
}

/* "EST" or "<+03>". */
static bool take_name(struct span *text)
{
    if (take_char(text, '<')) {
        while (text->len && peek(text) != '>')
            take_char(text, peek(text));
        return take_char(text, '>');
    }
    size_t before = text->len;
    while ((peek(text) >= 'A' && peek(text) <= 'Z') || (peek(text) >= 'a' && peek(text) <= 'z'))
        take_char(text, peek(text));
    return text->len < before;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct span *text, int hours_max, int32_t *out)
{
    int hours, minutes = 0, seconds = 0;
    bool negative = take_char(text, '-');
    if (!negative) take_char(text, '+');
    if (!take_number(text, hours_max, &hours)) return false;
    if (take_char(text, ':')) {
        if (!take_number(text, 59, &minutes)) return false;
        if (take_char(text, ':') && !take_number(text, 59, &seconds)) return false;
    }
    *out = (hours * HOUR_S + minutes * 60 + seconds) * (negative ? -1 : 1);
    return true;
}

static bool take_day(struct span *text, struct zone_day *out)
{
    *out = (struct zone_day){.kind = '0', .seconds = 2 * HOUR_S};
    if (!take_char(text, ',')) return false;
    if (take_char(text, 'M')) {
        out->kind = 'M';
        if (!take_number(text, 12, &out->month) || !take_char(text, '.') ||
            !take_number(text, 5, &out->week) || !take_char(text, '.') ||
            !take_number(text, 6, &out->day) || !out->month || !out->week)
            return false;
    } else {
        if (take_char(text, 'J')) out->kind = 'J';
        if (!take_number(text, 365, &out->day)) return false;
        if (out->kind == 'J' && !out->day) return false;
    }
    return !take_char(text, '/') || take_time(text, RULE_HOURS_MAX, &out->seconds);
}

/* std offset [dst [offset] ,start[/time],end[/time]]: offsets are west of Greenwich. */
static bool parse_rule(struct zone *zone, struct span text)
{
    int32_t west_s;
    if (!take_name(&text) || !take_time(&text, 24, &west_s)) return false;
    zone->standard_s = -west_s;
    zone->has_rule = true;
    if (!text.len) return true;
    if (!take_name(&text)) return false;
    zone->summer_s = zone->standard_s + HOUR_S;
    if (peek(&text) != ',') {
        if (!take_time(&text, 24, &west_s)) return false;
        zone->summer_s = -west_s;
    }
    zone->has_summer = true;
    return take_day(&text, &zone->begin) && take_day(&text, &zone->end) && !text.len;
}

static int32_t type_offset(const struct zone *zone, size_t type)
{
    return (int32_t)(uint32_t)big_endian(zone->offsets.ptr + type * TYPE_SIZE, 4);
}

static bool are_types_sound(const struct zone *zone)
{
    for (size_t i = 0; i < zone->types.len; i++)
        if ((uint8_t)zone->types.ptr[i] >= zone->types_count) return false;
    for (size_t i = 0; i < (size_t)zone->types_count; i++)
        if (type_offset(zone, i) > OFFSET_MAX_S || type_offset(zone, i) < -OFFSET_MAX_S)
            return false;
    return true;
}

static bool parse_footer(struct zone *zone, struct span rest)
{
    if (!take_char(&rest, '\n')) return false;
    struct span rule = span_split(&rest, '\n');
    return rest.ptr && (!rule.len || parse_rule(zone, rule));
}

bool zone_parse(struct zone *out, struct span file)
{
    struct counts counts;
    struct span skipped;
    struct zone zone = {.count = 0};
    if (!take_header(&file, &counts) || !take(&file, block_size(&counts, 4), &skipped))
        return false;
    if (!take_header(&file, &counts)) return false;
    zone.count = counts.time;
    zone.types_count = (int32_t)counts.type;
    size_t rest_size = block_size(&counts, TIME_SIZE) - counts.time * (size_t)(TIME_SIZE + 1) -
                       counts.type * (size_t)TYPE_SIZE;
    if (!take(&file, counts.time * (size_t)TIME_SIZE, &zone.times) ||
        !take(&file, counts.time, &zone.types) ||
        !take(&file, counts.type * (size_t)TYPE_SIZE, &zone.offsets) ||
        !take(&file, rest_size, &skipped))
        return false;
    if (!are_types_sound(&zone) || !parse_footer(&zone, file)) return false;
    *out = zone;
    return true;
}

void zone_utc(struct zone *out)
{
    *out = (struct zone){.has_rule = true};
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Howard Hinnant's, from the civil calendar: eras of 400 years that begin on March 1. */
int64_t zone_days(struct zone_date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct zone_date zone_date_of(int64_t days)
{
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    int day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    int civil_month = (int)(month < 10 ? month + 3 : month - 9);
    return (struct zone_date){year_of_era + era * 400 + (civil_month <= 2), civil_month, day};
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The n-th such weekday of the month; 5: the last one. 1970 began on a Thursday. */
static int64_t weekday_of_month(const struct zone_day *day, int64_t year)
{
    enum { THURSDAY = 4 };
    int64_t first = zone_days((struct zone_date){year, day->month, 1});
    struct zone_date next_month = {year + (day->month == 12), day->month % 12 + 1, 1};
    int64_t next = zone_days(next_month);
    int64_t weekday = ((first + THURSDAY) % WEEK_DAYS + WEEK_DAYS) % WEEK_DAYS;
    int64_t at = first + (day->day - weekday + WEEK_DAYS) % WEEK_DAYS + (day->week - 1) * WEEK_DAYS;
    return at < next ? at : at - WEEK_DAYS;
}

/* In seconds of local time since 1970. */
static int64_t day_in_year(const struct zone_day *day, int64_t year)
{
    int64_t days;
    if (day->kind == 'M')
        days = weekday_of_month(day, year);
    else if (day->kind == 'J')
        days = zone_days((struct zone_date){year, 1, 1}) + day->day - 1 +
               (is_leap(year) && day->day >= 60);
    else
        days = zone_days((struct zone_date){year, 1, 1}) + day->day;
    return days * DAY_S + day->seconds;
}

/* In the year that standard time says it is: what a rule moves across a new year's night is in the
 * rule's favour either way, since summer begins and ends far from it. */
static int32_t rule_offset(const struct zone *zone, int64_t instant_s)
{
    if (!zone->has_summer) return zone->standard_s;
    int64_t year = zone_date_of(floor_div(instant_s + zone->standard_s, DAY_S)).year;
    int64_t begin_s = day_in_year(&zone->begin, year) - zone->standard_s;
    int64_t end_s = day_in_year(&zone->end, year) - zone->summer_s;
    bool is_summer = begin_s < end_s ? instant_s >= begin_s && instant_s < end_s
                                     : instant_s >= begin_s || instant_s < end_s;
    return is_summer ? zone->summer_s : zone->standard_s;
}

static int64_t transition(const struct zone *zone, int64_t i)
{
    return (int64_t)big_endian(zone->times.ptr + i * TIME_SIZE, TIME_SIZE);
}

int32_t zone_offset(const struct zone *zone, int64_t instant_s)
{
    int64_t low = 0, high = zone->count; /* how many transitions are past */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (transition(zone, middle) <= instant_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule) return rule_offset(zone, instant_s);
    return type_offset(zone, low ? (uint8_t)zone->types.ptr[low - 1] : 0);
}

bool zone_is_utc(const struct zone *zone)
{
    return zone->types_count == 0 && zone->standard_s == 0 && !zone->has_summer;
}

/* Local mean times of before 1950 are in most files, and in no event. */
bool zone_has_whole_hours(const struct zone *zone)
{
    static const int64_t SINCE_S = -631152000;
    if (zone->has_rule && (zone->standard_s % HOUR_S || zone->summer_s % HOUR_S)) return false;
    if (zone->types_count && zone_offset(zone, SINCE_S) % HOUR_S) return false;
    for (int64_t i = 0; i < zone->count; i++)
        if (transition(zone, i) >= SINCE_S &&
            type_offset(zone, (uint8_t)zone->types.ptr[i]) % HOUR_S)
            return false;
    return true;
}

bool zone_is_name(struct span text)
{
    enum { NAME_MAX_LEN = 64 };
    char before = '/';
    if (!text.len || text.len > NAME_MAX_LEN) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool is_other = is_digit(c) || c == '+' || c == '-' || c == '_';
        if (c == '/' ? before == '/' : !is_letter && !is_other) return false;
        before = c;
    }
    return before != '/';
}
