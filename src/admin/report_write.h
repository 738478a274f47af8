#pragma once

#include "admin/report_ask.h"

/* A report as text: a table for people, CSV (RFC 4180; what a spreadsheet would take for a formula
 * begins with an apostrophe), or JSON. */

/* False: it could not be taken, stop. */
typedef bool report_on_text(void *arg, struct span text);

/* ERR_NO_MEMORY; ERR_IO: on_text stopped it. */
enum err report_write(const struct report_table *table, enum report_format format,
                      report_on_text *on_text, void *arg);
