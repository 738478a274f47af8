#include "event/datetime.h"

#include "fuzz.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Date-times. The second opinion reads the two grammars with regular expressions, and leaves the
 * calendar to timegm and gmtime_r.
 *
 * Input: the text; eight bytes are an instant to write as well. */

enum { TEXT_MAX = 64 };

enum { YEAR = 1, MONTH, DAY, HOUR, MINUTE, SECONDS, SECOND, FRACTION, DIGITS, ZONE, GROUPS = 13 };

#define DATE "^([0-9]{4})-([0-9]{2})-([0-9]{2})"
#define CLOCK "([0-9]{2}):([0-9]{2})"

static const char *const iso8601 =
    DATE "[Tt ]" CLOCK "(:([0-9]{2})([.,]([0-9]+))?)?(Z|z|[-+]([0-9]{2}):?([0-9]{2})?)?$";
static const char *const rfc3339 =
    DATE "[Tt]" CLOCK "(:([0-9]{2})(\\.([0-9]+))?)(Z|z|[-+]([0-9]{2}):([0-9]{2}))$";

static int number_at(const char *text, const regmatch_t *group)
{
    return group->rm_so < 0 ? 0 : (int)strtol(text + group->rm_so, NULL, 10);
}

/* +hh, +hhmm, +hh:mm; "+hh:" is in the expression's grammar, not in ours. */
static bool read_offset(const char *text, const regmatch_t *zone, int *minutes)
{
    size_t len = zone->rm_so < 0 ? 0 : (size_t)(zone->rm_eo - zone->rm_so);
    int hour = 0, minute = 0;
    if (len <= 1) return true;
    const char *at = text + zone->rm_so;
    if (len == 4) return false;
    sscanf(at + 1, "%2d", &hour);
    if (len > 3) sscanf(at + len - 2, "%2d", &minute);
    *minutes = (hour * 60 + minute) * (*at == '-' ? -1 : 1);
    return hour <= 23 && minute <= 59;
}

/* Milliseconds: the first three digits, padded on the right. */
static int read_fraction(const char *text, const regmatch_t *digits)
{
    char three[4] = "000";
    if (digits->rm_so < 0) return 0;
    size_t len = (size_t)(digits->rm_eo - digits->rm_so);
    memcpy(three, text + digits->rm_so, len < 3 ? len : 3);
    return (int)strtol(three, NULL, 10);
}

static bool same_date(const struct tm *a, const struct tm *b)
{
    return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday;
}

static bool read_again(const regex_t *grammar, const char *text, int64_t *ms)
{
    regmatch_t groups[GROUPS];
    if (regexec(grammar, text, GROUPS, groups, 0) != 0) return false;
    int hour = number_at(text, &groups[HOUR]), minute = number_at(text, &groups[MINUTE]);
    int second = number_at(text, &groups[SECOND]), offset = 0;
    struct tm date = {.tm_year = number_at(text, &groups[YEAR]) - 1900,
                      .tm_mon = number_at(text, &groups[MONTH]) - 1,
                      .tm_mday = number_at(text, &groups[DAY])};
    struct tm normal = date;
    time_t midnight = timegm(&normal);
    if (!same_date(&date, &normal) || hour > 23 || minute > 59 || second > 60) return false;
    if (!read_offset(text, &groups[ZONE], &offset)) return false;
    time_t at = midnight + hour * 3600 + minute * 60 + second - offset * 60;
    *ms = (int64_t)at * 1000 + (second < 60 ? read_fraction(text, &groups[DIGITS]) : 0);
    struct tm utc;
    return second < 60 || (gmtime_r(&at, &utc) && utc.tm_hour == 0 && utc.tm_min == 0);
}

static void check_profile(bool (*parse)(int64_t *, struct span), struct span text, const char *copy,
                          const regex_t *grammar)
{
    int64_t ours = 7, theirs = 0;
    bool expected =
        text.len <= TEXT_MAX && strlen(copy) == text.len && read_again(grammar, copy, &theirs);
    bool accepted = parse(&ours, text) ^ lies("verdict");
    require(accepted == expected, "the verdicts differ");
    if (lies("value")) ours++;
    require(accepted ? ours == theirs : ours == 7 || lies("value"), "the instants differ");
}

static void check_written(int64_t ms)
{
    char ours_text[64], theirs[64], year[32];
    struct writer out;
    writer_init(&out, ours_text, sizeof ours_text);
    datetime_write(&out, ms);
    if (lies("written")) ours_text[0] ^= 1;
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm utc;
    require(gmtime_r(&seconds, &utc) != NULL, "an instant that the C library cannot tell");
    long long full = utc.tm_year + 1900LL;
    bool is_plain = full >= 0 && full <= 9999;
    snprintf(year, sizeof year, is_plain ? "%04lld" : "%+07lld", full);
    int len = snprintf(theirs, sizeof theirs, "%s-%02d-%02dT%02d:%02d:%02d.%03dZ", year,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                       (int)((ms % 1000 + 1000) % 1000));
    require(!out.overflow && span_eq(writer_text(&out), (struct span){theirs, (size_t)len}),
            "an instant is written otherwise");
    int64_t again = 0;
    bool reads = datetime_parse_rfc3339(&again, writer_text(&out));
    require(reads == is_plain && (!reads || again == ms), "what is written is not read back");
}

static const regex_t *compiled(regex_t *memory, const char *grammar)
{
    require(regcomp(memory, grammar, REG_EXTENDED) == 0, "the grammar of the second opinion");
    return memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static regex_t memory[2];
    static const regex_t *iso, *rfc;
    if (!iso) iso = compiled(&memory[0], iso8601);
    if (!rfc) rfc = compiled(&memory[1], rfc3339);
    struct span text = own_copy((struct span){(const char *)bytes, size});
    char *copy = c_text(text);
    check_profile(datetime_parse_iso8601, text, copy, iso);
    check_profile(datetime_parse_rfc3339, text, copy, rfc);
    int64_t ms;
    if (size == sizeof ms) {
        memcpy(&ms, bytes, sizeof ms);
        check_written(ms);
    }
    if (datetime_parse_iso8601(&ms, text)) check_written(ms);
    free(copy);
    own_free(text);
    return 0;
}
