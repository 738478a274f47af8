#pragma once

#include "event/record.h"

/* What makes an event the same as one before it, for every engine. */

/* A conversion may be known by what its sender calls it, and by its order. */
enum dedup_layer { DEDUP_EXPLICIT, DEDUP_ORDER };
enum { DEDUP_LAYERS = DEDUP_ORDER + 1 };

/* The key of that layer, absent when it has none. */
struct span conversion_key_text(const struct conversion *conversion, enum dedup_layer layer);

/* Within this time of another click of its bid or its visitor, a click is a double one. */
enum { DOUBLE_CLICK_MS = 10 * 1000 };
