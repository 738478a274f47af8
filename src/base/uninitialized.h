#pragma once

/* For a large buffer on the stack that is written before it is read: the build zeroes every
 * variable (-ftrivial-auto-var-init), which for such a buffer costs more than its use. */
#define UNINITIALIZED __attribute__((uninitialized))
