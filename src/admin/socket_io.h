#pragma once

#include "base/err.h"
#include "base/span.h"
#include "base/writer.h"

#include <stdint.h>

/* Whole messages over a non-blocking socket, until a monotonic deadline. `stop_fd` (-1: none)
 * becoming readable ends the wait.
 *   ERR_BUSY  the deadline has passed, or stop_fd is readable
 *   ERR_FULL  the peer sent more than `in` has room for
 *   ERR_IO    the connection broke */

/* Up to the end of input. */
enum err socket_read_all(int fd, int stop_fd, int64_t deadline_ms, struct writer *in);
enum err socket_write_all(int fd, int stop_fd, int64_t deadline_ms, struct span text);
