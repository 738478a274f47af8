#pragma once

#include <stddef.h>

/* Memory for key material: zeroed, in no core dump, never swapped out, with a page on either side
 * that faults. A limit on locked memory (RLIMIT_MEMLOCK) that refuses is no reason to end: the log
 * warns, once. Any thread. */

void *secret_new(size_t size);               /* NULL: no memory */
void secret_free(void *memory, size_t size); /* wipes it; NULL is allowed */

/* No core dump of this process, and no other process of its user reads its memory. One-way. */
void secret_process(void);
