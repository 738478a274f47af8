#pragma once

#include <stddef.h>

/* Where an HTTP/1.1 message ends, for both ends of the benchmark: as much of the framing as its own
 * requests and its peers' answers need, and no more checking than that. */

enum frame_state { FRAME_INCOMPLETE, FRAME_COMPLETE };

/* `size`: of the whole message, when it is complete. A message without Content-Length and without
 * chunks has no body. */
enum frame_state frame_find(const char *bytes, size_t len, size_t *size);

int frame_status(const char *bytes, size_t len); /* of an answer; 0: it is none */
