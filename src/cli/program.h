#pragma once

#include "cli/complete.h"

/* What adtally and adtally-sinks have in common: a table of commands, its help, its completion. */

struct program {
    const char *name, *what; /* what it does, in a few words */
    struct commands commands;
    const char *foot; /* the last lines of its help */
};

/* argv is main's. Returns what the process ends with. */
int program_run(const struct program *program, int argc, char **argv);
