#include "unit.h"

#include "event/zone.h"

#include <stdio.h>

/* Rules that no file of this machine may have, and files that are none. What the system's files say
 * is compared with Python's zoneinfo in tests/reports. */

enum { FILE_MAX = 512, HEADER_SIZE = 44 };

struct file {
    char bytes[FILE_MAX];
    size_t len;
};

static void put(struct file *file, const void *bytes, size_t len)
{
    memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
}

static void put_header(struct file *file, char version, uint8_t times)
{
    char header[HEADER_SIZE] = "TZif";
    header[4] = version;
    header[35] = (char)times;
    header[39] = 1; /* type */
    header[43] = 4; /* characters */
    put(file, header, sizeof header);
}

/* One type, of UTC, no transition, and the rule. */
static struct file file_of(const char *rule)
{
    static const char type[6] = {0}, characters[4] = "UTC";
    struct file file = {.len = 0};
    for (int i = 0; i < 2; i++) {
        put_header(&file, '2', 0);
        put(&file, type, sizeof type);
        put(&file, characters, sizeof characters);
    }
    put(&file, "\n", 1);
    put(&file, rule, strlen(rule));
    put(&file, "\n", 1);
    return file;
}

static bool parse(struct zone *zone, const struct file *file)
{
    return zone_parse(zone, (struct span){file->bytes, file->len});
}

static int64_t at(int64_t year, int month, int day, int hour, int minute)
{
    return zone_days((struct zone_date){year, month, day}) * 86400 + hour * 3600 + minute * 60;
}

static const struct rule_row {
    const char *name, *rule;
    int64_t year;
    int month, day, hour, minute;
    int32_t offset_s;
} rule_rows[] = {
    {"none", "UTC0", 2026, 1, 1, 0, 0, 0},
    {"west is positive", "EST5", 2026, 1, 1, 0, 0, -18000},
    {"east with minutes", "<+0545>-5:45", 2026, 7, 1, 0, 0, 20700},
    {"before summer", "CET-1CEST,M3.5.0,M10.5.0/3", 2026, 3, 29, 0, 59, 3600},
    {"summer", "CET-1CEST,M3.5.0,M10.5.0/3", 2026, 3, 29, 1, 0, 7200},
    {"last of summer", "CET-1CEST,M3.5.0,M10.5.0/3", 2026, 10, 25, 0, 59, 7200},
    {"after summer", "CET-1CEST,M3.5.0,M10.5.0/3", 2026, 10, 25, 1, 0, 3600},
    {"the south at new year", "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 12, 31, 13, 59, 39600},
    {"the south in July", "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 7, 1, 0, 0, 36000},
    {"summer of half an hour", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 1, 1, 0, 0, 39600},
    {"winter that is the exception", "IST-1GMT0,M10.5.0,M3.5.0/1", 2026, 1, 1, 0, 0, 0},
    {"a time before the day", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, 3, 28, 23, 59, -7200},
    {"a time before the day, after", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, 3, 29, 1, 0, -3600},
    {"J counts no February 29", "XXX0YYY,J60,J300", 2028, 3, 1, 2, 0, 3600},
    {"J before it", "XXX0YYY,J60,J300", 2028, 3, 1, 1, 59, 0},
    {"0 counts it", "XXX0YYY,59,300", 2028, 2, 29, 2, 0, 3600},
    {"summer all year", "XXX3EDT4,0/0,J365/23", 2026, 6, 1, 0, 0, -14400},
};

static void rule_is_understood(void **state)
{
    const struct rule_row *row = *state;
    struct file file = file_of(row->rule);
    struct zone zone;
    assert_true(parse(&zone, &file));
    int64_t instant_s = at(row->year, row->month, row->day, row->hour, row->minute);
    assert_int_equal(zone_offset(&zone, instant_s), row->offset_s);
}

static const struct bad_row {
    const char *name, *rule;
} bad_rows[] = {
    {"no offset", "CET"},
    {"no name", "-1"},
    {"no end", "CET-1CEST,M3.5.0"},
    {"month 13", "CET-1CEST,M13.5.0,M10.5.0"},
    {"week 0", "CET-1CEST,M3.0.0,M10.5.0"},
    {"weekday 7", "CET-1CEST,M3.1.7,M10.5.0"},
    {"J0", "XXX0YYY,J0,J300"},
    {"day 366", "XXX0YYY,366,J300"},
    {"hours past a week", "XXX0YYY,J1/168,J300"},
    {"something behind", "CET-1CEST,M3.5.0,M10.5.0x"},
    {"an open bracket", "<+03-3"},
};

static void bad_rule_is_refused(void **state)
{
    const struct bad_row *row = *state;
    struct file file = file_of(row->rule);
    struct zone zone;
    assert_false(parse(&zone, &file));
}

static void every_cut_file_is_refused(void **state)
{
    struct file file = file_of("CET-1CEST,M3.5.0,M10.5.0/3");
    struct zone zone;
    for (size_t len = 0; len < file.len; len++)
        assert_false(zone_parse(&zone, (struct span){file.bytes, len}));
    assert_true(parse(&zone, &file));
}

/* No byte that is changed makes it read outside: for the sanitizers. */
static void every_changed_file_is_bounded(void **state)
{
    struct zone zone;
    for (size_t i = 0; i < file_of("EST5EDT,M3.2.0,M11.1.0").len; i++)
        for (int value = 0; value < 256; value += 17) {
            struct file file = file_of("EST5EDT,M3.2.0,M11.1.0");
            file.bytes[i] = (char)value;
            if (parse(&zone, &file)) zone_offset(&zone, (int64_t)i * 1000000000);
        }
}

static void days_and_dates_agree(void **state)
{
    for (int64_t days = -800000; days < 800000; days += 13)
        assert_int_equal(zone_days(zone_date_of(days)), days);
    assert_int_equal(zone_days((struct zone_date){1970, 1, 1}), 0);
    assert_int_equal(zone_days((struct zone_date){2000, 2, 29}), 11016);
}

static const struct name_row {
    const char *name, *text;
    bool is_one;
} name_rows[] = {
    {"a zone", "Europe/Berlin", true},
    {"three parts", "America/Argentina/Buenos_Aires", true},
    {"with a sign", "Etc/GMT+5", true},
    {"nothing", "", false},
    {"the root", "/etc/passwd", false},
    {"above", "../../etc/passwd", false},
    {"two slashes", "Europe//Berlin", false},
    {"a slash at the end", "Europe/", false},
    {"a dot", "zone.tab", false},
    {"longer than any", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     false},
};

static void name_is_judged(void **state)
{
    const struct name_row *row = *state;
    assert_int_equal(zone_is_name(span_of(row->text)), row->is_one);
}

int main(void)
{
    UNIT_ADD_ROWS(rule_rows, rule_is_understood);
    UNIT_ADD_ROWS(bad_rows, bad_rule_is_refused);
    UNIT_ADD_ROWS(name_rows, name_is_judged);
    UNIT_ADD(every_cut_file_is_refused);
    UNIT_ADD(every_changed_file_is_bounded);
    UNIT_ADD(days_and_dates_agree);
    return UNIT_RUN_ADDED("zone");
}
