#pragma once

#include "admin/admin.h"
#include "cli/args.h"
#include "cli/options.h"
#include "cli/value.h"
#include "json/json.h"

#include <stdbool.h>

/* How commands reach a data directory: over the admin socket when a server runs there, else by
 * opening it themselves; root then acts as the directory's owner. */

struct target {
    struct span data, store, config;
};

enum { TARGET_FLAGS_COUNT = 3 };

/* Fills in the flags that every command takes. */
void target_flags(struct flag flags[TARGET_FLAGS_COUNT], struct target *target);

struct reply {
    char *memory; /* of the answer's text */
    size_t size;
    struct json_token *tokens;
    struct json_doc doc;
    char *unescaped;
    struct arena arena;
};

/* Root would leave files behind that the user who serves cannot open. False: `problem` says why. */
bool reach_act_as_owner(const char *dir, char problem[STORE_PROBLEM_MAX]);

/* Runs an admin command (admin/admin.h). EXIT_DONE: `reply` holds its answer, which is ok; to be
 * closed. Anything else has been said. `create`: a directory that does not exist is made. */
int reach_call(struct reply *reply, const struct target *target, bool create, struct span request);
void reply_close(struct reply *reply); /* wipes: it may hold a secret */

/* Many commands, one after the other: the data directory is opened once when no server runs. */
struct reach {
    struct options *options; /* data_path and the rest, for who reads the directory beside it */
    struct admin admin;
    bool is_own; /* no server runs: the directory is ours */
    char host[VALUE_ADDRESS_TEXT_MAX];
};

/* Exit status; anything but EXIT_DONE has been said, and there is nothing to close. */
int reach_open(struct reach *reach, const struct target *target, bool create);
int reach_send(struct reach *reach, struct reply *reply, struct span request);
void reach_close(struct reach *reach);

/* A string member, absent when there is none; any member as it stands. */
struct span reply_text(struct reply *reply, struct span name);
struct span reply_raw(const struct reply *reply, struct span name);
