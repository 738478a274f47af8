#pragma once

/* A bug, never an input: asserts stay on in release builds and end the process. What came from the
 * network, the disk, the configuration or the clock is checked with ordinary code instead. */

_Noreturn void assert_failed(const char *condition, const char *file, int line);

#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))
