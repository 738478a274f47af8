#include "event/datetime.h"

enum {
    TEXT_LEN_MAX = 64,
    MINUTES_PER_DAY = 24 * 60,
    MS_PER_MINUTE = 60 * 1000,
    DAYS_PER_400_YEARS = 146097,
    DAYS_0000_MARCH_TO_1970 = 719468,
};

#define MS_PER_DAY ((int64_t)MINUTES_PER_DAY * MS_PER_MINUTE)

/* What the two profiles disagree on. */
struct profile {
    bool space_separator;
    bool seconds_optional;
    bool comma_fraction;
    bool offset_lenient; /* +hhmm, +hh, or none at all */
};

static const struct profile iso8601 = {true, true, true, true};
static const struct profile rfc3339 = {false, false, false, false};

struct fields {
    int year, month, day, hour, minute, second, ms;
    int offset_minutes;
};

/* Takes exactly `count` digits. */
static bool take_digits(struct span *text, size_t count, int *value)
{
    if (text->len < count) return false;
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = text->ptr[i] - '0';
        if (digit < 0 || digit > 9) return false;
        *value = *value * 10 + digit;
    }
    *text = (struct span){text->ptr + count, text->len - count};
    return true;
}

static bool take_char(struct span *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c) return false;
    *text = (struct span){text->ptr + 1, text->len - 1};
    return true;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static bool take_date(struct span *text, struct fields *out)
{
    return take_digits(text, 4, &out->year) && take_char(text, '-') &&
           take_digits(text, 2, &out->month) && take_char(text, '-') &&
           take_digits(text, 2, &out->day) && out->month >= 1 && out->month <= 12 &&
           out->day >= 1 && out->day <= days_in_month(out->year, out->month);
}

/* At least one digit; those past the millisecond are checked and dropped. */
static bool take_fraction(struct span *text, int *ms)
{
    int digit = 0;
    int weight = 100;
    if (!take_digits(text, 1, &digit)) return false;
    do {
        *ms += digit * weight;
        weight /= 10;
    } while (take_digits(text, 1, &digit));
    return true;
}

static bool take_time(struct span *text, const struct profile *profile, struct fields *out)
{
    if (!take_digits(text, 2, &out->hour) || !take_char(text, ':') ||
        !take_digits(text, 2, &out->minute) || out->hour > 23 || out->minute > 59)
        return false;
    if (!take_char(text, ':')) return profile->seconds_optional;
    if (!take_digits(text, 2, &out->second) || out->second > 60) return false;
    if (take_char(text, '.') || (profile->comma_fraction && take_char(text, ',')))
        return take_fraction(text, &out->ms);
    return true;
}

static bool take_offset(struct span *text, const struct profile *profile, struct fields *out)
{
    if (take_char(text, 'Z') || take_char(text, 'z')) return true;
    if (text->len == 0) return profile->offset_lenient;
    bool west = take_char(text, '-');
    int hours = 0;
    int minutes = 0;
    if ((!west && !take_char(text, '+')) || !take_digits(text, 2, &hours)) return false;
    bool hours_only = profile->offset_lenient && text->len == 0;
    if (!hours_only &&
        ((!take_char(text, ':') && !profile->offset_lenient) || !take_digits(text, 2, &minutes)))
        return false;
    if (hours > 23 || minutes > 59) return false;
    out->offset_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day is the last of its year
 * and the months before it have lengths that (153 m + 2) / 5 adds up. */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t years = year - (month <= 2) + 400; /* positive for the January of the year 0000 */
    int64_t months = (month + 9) % 12;
    int64_t days = years * 365 + years / 4 - years / 100 + years / 400;
    return days + (153 * months + 2) / 5 + day - 1 - DAYS_PER_400_YEARS - DAYS_0000_MARCH_TO_1970;
}

static bool fields_to_ms(const struct fields *in, int64_t *out_ms)
{
    int64_t minute = days_from_date(in->year, in->month, in->day) * MINUTES_PER_DAY +
                     in->hour * 60 + in->minute - in->offset_minutes;
    if (in->second < 60) {
        *out_ms = minute * MS_PER_MINUTE + in->second * 1000 + in->ms;
        return true;
    }
    /* A leap second ends a UTC day. All of it is one instant, so that no time within it sorts after
     * the second that follows. */
    if ((minute + 1) % MINUTES_PER_DAY != 0) return false;
    *out_ms = (minute + 1) * MS_PER_MINUTE;
    return true;
}

static bool parse(int64_t *out_ms, struct span text, const struct profile *profile)
{
    struct fields fields = {0};
    if (text.len > TEXT_LEN_MAX || !take_date(&text, &fields)) return false;
    if (!take_char(&text, 'T') && !take_char(&text, 't') &&
        !(profile->space_separator && take_char(&text, ' ')))
        return false;
    return take_time(&text, profile, &fields) && take_offset(&text, profile, &fields) &&
           text.len == 0 && fields_to_ms(&fields, out_ms);
}

bool datetime_parse_iso8601(int64_t *out_ms, struct span text)
{
    return parse(out_ms, text, &iso8601);
}

bool datetime_parse_rfc3339(int64_t *out_ms, struct span text)
{
    return parse(out_ms, text, &rfc3339);
}

static int64_t floor_div(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

/* `value` in at least `width` digits. */
static void write_padded(struct writer *out, uint64_t value, int width)
{
    uint64_t bound = 10;
    for (int i = 1; i < width; i++)
        bound *= 10;
    for (; bound > 10 && value < bound / 10; bound /= 10)
        writer_char(out, '0');
    writer_u64(out, value);
}

static void write_year(struct writer *out, int64_t year)
{
    if (year >= 0 && year <= 9999) {
        write_padded(out, (uint64_t)year, 4);
        return;
    }
    writer_char(out, year < 0 ? '-' : '+');
    write_padded(out, (uint64_t)(year < 0 ? -year : year), 6);
}

/* The inverse of days_from_date. */
static void write_date(struct writer *out, int64_t days)
{
    days += DAYS_0000_MARCH_TO_1970;
    int64_t era = floor_div(days, DAYS_PER_400_YEARS);
    int64_t day = days - era * DAYS_PER_400_YEARS;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    write_year(out, year + era * 400 + (month >= 10));
    writer_char(out, '-');
    write_padded(out, (uint64_t)(month < 10 ? month + 3 : month - 9), 2);
    writer_char(out, '-');
    write_padded(out, (uint64_t)(day - (153 * month + 2) / 5 + 1), 2);
}

void datetime_write(struct writer *out, int64_t ms)
{
    int64_t days = floor_div(ms, MS_PER_DAY);
    int64_t day_ms = ms % MS_PER_DAY;
    uint64_t rest = (uint64_t)(day_ms < 0 ? day_ms + MS_PER_DAY : day_ms);
    write_date(out, days);
    writer_char(out, 'T');
    write_padded(out, rest / (60 * MS_PER_MINUTE), 2);
    writer_char(out, ':');
    write_padded(out, rest / MS_PER_MINUTE % 60, 2);
    writer_char(out, ':');
    write_padded(out, rest / 1000 % 60, 2);
    writer_char(out, '.');
    write_padded(out, rest % 1000, 3);
    writer_char(out, 'Z');
}
