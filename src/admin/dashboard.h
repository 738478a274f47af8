#pragma once

#include "base/span.h"

#include <stddef.h>

/* The dashboard's files, which are part of the program (dashboard/embed.py makes the table). */

struct dashboard_asset {
    struct span path; /* "/assets/dashboard.js"; the two pages are /index.html and /signin.html */
    struct span etag; /* quoted, of the content */
    const char *content_type;
    struct span body;
};

extern const struct dashboard_asset dashboard_assets[];
extern const size_t dashboard_assets_count;
