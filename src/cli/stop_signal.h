#pragma once

/* SIGTERM and SIGINT: the first one asks to drain, the second one ends the process at once. While
 * nothing was accepted yet, already the first one ends it, with exit 0. */

void stop_signal_install(void);

/* From here on the first signal only asks. */
void stop_signal_defer(void);

/* Returns when a signal has come. */
void stop_signal_wait(void);
