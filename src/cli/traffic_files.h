#pragma once

#include "api/traffic.h"
#include "cli/options.h"

/* What bot_patterns and datacenter_ranges name, or the list of robots that is built in. On anything
 * but OPTIONS_OK it has been said and there is nothing to free. */
enum options_result traffic_files_load(struct traffic **out, const struct options *options);
