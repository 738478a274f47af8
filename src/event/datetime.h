#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* ISO 8601 extended format as contract section 5 narrows it for `conversion_time`: YYYY-MM-DD, then
 * T, t or a space, hh:mm with optional :ss and, after seconds only, a fraction (period or comma),
 * then Z, z, +hh:mm, +hhmm, +hh (or with -, 00:00 to 23:59) or nothing (UTC). Years 0000..9999,
 * calendar dates that exist, 24:00 refused, :60 only where it is 23:59:60 UTC, whatever the date.
 * At most 64 bytes. `*out_ms` is milliseconds since 1970 UTC, the fraction cut after the third
 * digit; a leap second counts as the first instant of the next minute, its fraction as nothing.
 * On false `*out_ms` is as it was. */
bool datetime_parse_iso8601(int64_t *out_ms, struct span text);

/* RFC 3339 date-time (T or t; seconds and an offset are required; fraction after a period): `exp`
 * of tokens and `key create --expires`. */
bool datetime_parse_rfc3339(int64_t *out_ms, struct span text);

/* 2026-11-21T06:00:00.000Z. An instant whose UTC year has no four digits (an offset can lead there
 * from 0000 and 9999) gets ECMAScript's sign and at least six. */
void datetime_write(struct writer *out, int64_t ms);
