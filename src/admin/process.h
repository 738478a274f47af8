#pragma once

#include <stdint.h>

/* What the system says of this process. What is read of /proc has to be opened before the sandbox
 * forbids it. */

struct process;

struct process *process_open(void); /* NULL: there is no memory, or no /proc */
void process_close(struct process *process);

struct process_stats {
    int64_t cpu_us, started_at_ms; /* wall clock */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
};

/* One thread at a time. `process` may be NULL: what would come from /proc is 0. */
void process_read(struct process *process, struct process_stats *out);
