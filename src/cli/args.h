#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

/* Command lines: flags (`--name value`, `--name=value`, `--name`) before or after operands; `-` is
 * an operand, and so is everything after `--`. */

struct args {
    char **list; /* of argv; what comes out borrows from it */
    int count;
    int at;
    bool operands_only;
};

enum arg_kind { ARG_END, ARG_FLAG, ARG_OPERAND };

struct arg {
    struct span text;  /* "--listen", or the operand */
    struct span value; /* what followed "=", else absent */
};

enum arg_kind args_next(struct args *args, struct arg *arg);

/* Makes sure of arg->value: the next argument, unless it looks like a flag. False: said. `command`
 * is how the help is asked for: "key". */
bool args_value(struct args *args, struct arg *arg, const char *command);

/* Takes the first operand out of the list, wherever it stands: the verb of `adtally key`. Every
 * flag but --json is taken to have a value. Absent when there is none. */
struct span args_take_verb(struct args *args);

/* Says that a verb is missing (absent) or none of `verbs`: "create, list or revoke". */
void args_say_verbs(struct span verb, const char *command, const char *verbs);

/* The flags of a command. Exactly one of `value` and `present` is set. */
struct flag {
    struct span name;
    struct span *value;
    bool *present;
};

struct operands {
    struct span *list;
    size_t cap, count;
};

/* Reads a whole command line. False: said on standard error, to end with EXIT_USAGE. A flag that is
 * given twice has the last value. */
bool args_read(struct args *args, const char *command, const struct flag *flags, size_t flags_count,
               struct operands *operands);
