#pragma once

#include "cli/args.h"

#include <stdio.h>

/* What a shell's completion asks (etc/completion): candidates for the last word of a command line,
 * from the tables that also make the help, so that there is nothing to keep in step. */

struct command {
    const char *name;
    int (*run)(struct args *args);
    const char
        *usage; /* lines without the program's name; one that begins with a space adds to all */
    const char *help;
    const char *more;               /* what a newcomer asks next, with an example */
    void (*print_more)(FILE *file); /* what its help ends with; or NULL */
};

struct commands {
    const struct command *list;
    size_t count;
};

/* `words`: what stands behind the program's name, the unfinished last one, which may be "",
 * included. A line for each candidate, with a tab and what it is where that is known; ":files" and
 * ":dirs" leave the work to the shell. */
void complete_print(FILE *out, const struct commands *commands, char **words, int words_count);
