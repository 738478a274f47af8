#pragma once

#include "base/span.h"

#include <stddef.h>

/* Files that the build made part of the program (tools/embed.py writes the tables). */

struct embedded {
    struct span address; /* what it is asked for by: "/assets/dashboard.js" */
    struct span etag;    /* quoted, of the content */
    const char *content_type;
    struct span body;
};

/* NULL: there is none. */
const struct embedded *embedded_find(const struct embedded *table, size_t count,
                                     struct span address);
