#pragma once

/* SIGTERM and SIGINT: the first one asks to drain, the second one ends the process at once. While
 * nothing was accepted yet, already the first one ends it, with exit 0.
 * SIGHUP asks for the configuration to be read anew. */

enum stop_signal { STOP_SIGNAL_RELOAD, STOP_SIGNAL_STOP };

void stop_signal_install(void);

/* From here on the first signal only asks. */
void stop_signal_defer(void);

/* Returns what was asked for, once for any number of reloads. */
enum stop_signal stop_signal_wait(void);
