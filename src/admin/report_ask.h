#pragma once

#include "store/report.h"

/* What somebody asks for, as names and values: the flags of `adtally report` without their dashes,
 * and the parameters of GET /v1/reports/KIND. One table for both. */

enum {
    REPORT_ZONE_FILE_MAX = 64 * 1024,
    REPORT_PROBLEM_MAX = 256,
    REPORT_ZONE_NAME_MAX = 64,
};

enum report_format { REPORT_FORMAT_TEXT, REPORT_FORMAT_CSV, REPORT_FORMAT_JSON };

struct report_ask {
    struct report_query query; /* whole after report_ask_finish; borrows the values */
    enum report_format format;
    struct span from, to, zone_name;
    char zone_file[REPORT_ZONE_FILE_MAX];
};

void report_ask_init(struct report_ask *ask);

/* False: `problem` is one sentence without a full stop that says what would be right. A name that
 * is not known is refused as well. */
bool report_ask_kind(struct report_ask *ask, struct span kind, char problem[REPORT_PROBLEM_MAX]);
bool report_ask_set(struct report_ask *ask, struct span name, struct span value,
                    char problem[REPORT_PROBLEM_MAX]);

/* When all is set: reads the time zone's file, and what --from and --to mean in it. */
bool report_ask_finish(struct report_ask *ask, char problem[REPORT_PROBLEM_MAX]);
