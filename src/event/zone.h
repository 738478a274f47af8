#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* A time zone as the system keeps it: one file of zoneinfo (RFC 8536, version 2 or later, which
 * has 64-bit times and a rule for the time after them; version 1 alone is refused). */

/* A day of each year, at a second of it, as POSIX TZ writes it. */
struct zone_day {
    char kind; /* 'M': month, week, weekday; 'J': 1..365 without February 29; '0': 0..365 */
    int month, week, day;
    int32_t seconds; /* of local time, may be negative or past a day */
};

struct zone {
    struct span times, types, offsets; /* of the file: borrowed */
    int64_t count;                     /* transitions */
    int32_t types_count;
    int32_t standard_s, summer_s; /* the rule of the time after the last transition */
    bool has_rule, has_summer;
    struct zone_day begin, end; /* of summer time */
};

/* False: the bytes are no such file. */
bool zone_parse(struct zone *out, struct span file);
void zone_utc(struct zone *out);

/* Seconds east of Greenwich at an instant (seconds since 1970). */
int32_t zone_offset(const struct zone *zone, int64_t instant_s);

bool zone_is_utc(const struct zone *zone); /* of zone_utc */

/* Whether its offset was, is and will be hours alone. */
bool zone_has_whole_hours(const struct zone *zone);

/* Whether text could name a zone: letters, digits, + - _ and single slashes between them. */
bool zone_is_name(struct span text);

/* A calendar day, proleptic Gregorian, as days since 1970 and back. */
struct zone_date {
    int64_t year;
    int month, day;
};
int64_t zone_days(struct zone_date date);
struct zone_date zone_date_of(int64_t days);
