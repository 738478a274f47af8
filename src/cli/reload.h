#pragma once

#include "api/api.h"
#include "base/writer.h"
#include "cli/loops.h"
#include "cli/options.h"

#include <pthread.h>

/* SIGHUP and `adtally reload`: the command line, the configuration file and the lists of robots and
 * data centres are read once more, and what can change while serving (rows of the options' table
 * that are live) does. A file that is not good changes nothing. Each option that differs is a line
 * of the log, and says when it waits for a restart. Keys and polls need no reload: commands change
 * them in the running server. */

struct reload {
    struct args args;              /* of serve, to be read again */
    const struct options *started; /* by which what is not live goes */
    struct options current;        /* by which what is live goes */
    struct api *api;
    struct loops *loops;
    pthread_mutex_t mutex; /* signals and commands are of two threads */
    bool is_over;
};

/* `args`: before they were read. The rest is borrowed. */
void reload_init(struct reload *reload, const struct args *args, const struct options *started);
void reload_fini(struct reload *reload);

/* From activation to the drain, which reload_end comes before; outside of it a reload is refused.
 */
void reload_begin(struct reload *reload, struct api *api, struct loops *loops);
void reload_end(struct reload *reload);

/* Any thread but a loop's. */
void reload_run(struct reload *reload);

/* The same as an admin command (admin/admin.h); `owner` is the struct reload. */
void reload_execute(void *owner, struct writer *answer);
