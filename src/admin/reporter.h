#pragma once

#include "base/err.h"
#include "ledger/ledger.h"

/* A thread that keeps the reports' running aggregates up with what is recorded (store/report.h), a
 * small step at a time and resting longer than it works. It never asks the ledger for anything but
 * its numbers. Does nothing while few events are new. */

struct reporter;

/* `url` as in report_open. It, `dir` and `ledger` stay the caller's, and alive until reporter_stop.
 */
enum err reporter_start(struct reporter **out, const char *dir, const char *url,
                        struct ledger *ledger);
void reporter_stop(struct reporter *reporter);

/* How long the thread rests behind a step that took so long, had so much of a processor, and left
 * so many events. */
int64_t reporter_rest_ms(int64_t took_ms, int64_t cpu_ms, int64_t behind);
