#pragma once

#include <stddef.h>

/* Bytes from the kernel's generator. A kernel that cannot give any ends the process: nothing that
 * needs them may go on without. */
void rng_fill(void *memory, size_t size);
