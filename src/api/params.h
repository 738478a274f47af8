#pragma once

#include "api/fields.h"
#include "event/record.h"

/* The params column of a server-to-server event (contract section 5), JSON text in the arena. */

struct params_source {
    const struct json_doc *doc; /* as fields_read left it: marked members of the root are extra */
    struct arena *arena;
    uint32_t unlisted; /* how many of them there are */
    uint32_t params;   /* the client's params object; 0: none */
};

/* {"extra":{...},"extra_dropped":n}, or absent without unlisted members. For conversions, whose
 * client has no params of its own. */
struct span params_of_conversion(const struct params_source *source);

/* The client's params, then the stamps, then extra: unlisted members first, the members of the
 * client's own params.extra under them. */
struct span params_of_event(const struct params_source *source, const struct sender *sender);
