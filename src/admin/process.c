#include "admin/process.h"

#include "base/clock.h"
#include "base/span.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct process {
    int statm_fd;
    DIR *fds;
    int64_t opened_at_ms;
    uint64_t max_fds;
};

struct process *process_open(void)
{
    struct rlimit limit;
    struct process *process = calloc(1, sizeof *process);
    if (!process) return NULL;
    process->opened_at_ms = clock_wall_ms();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) process->max_fds = limit.rlim_cur;
    process->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    process->fds = opendir("/proc/self/fd");
    if (process->statm_fd >= 0 && process->fds) return process;
    process_close(process);
    return NULL;
}

void process_close(struct process *process)
{
    if (!process) return;
    if (process->statm_fd >= 0) close(process->statm_fd);
    if (process->fds) closedir(process->fds);
    free(process);
}

/* "size resident ...", in pages */
static void read_memory(const struct process *process, struct process_stats *out)
{
    char text[128];
    unsigned long long pages = 0, resident = 0;
    ssize_t len = pread(process->statm_fd, text, sizeof text, 0);
    if (len <= 0) return;
    struct span rest = {text, (size_t)len};
    if (!span_to_u64(span_split(&rest, ' '), UINT64_MAX / 65536, &pages) ||
        !span_to_u64(span_split(&rest, ' '), UINT64_MAX / 65536, &resident))
        return;
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    out->virtual_bytes = pages * page_size;
    out->resident_bytes = resident * page_size;
}

static uint64_t count_fds(const struct process *process)
{
    uint64_t count = 0;
    rewinddir(process->fds);
    for (const struct dirent *entry = readdir(process->fds); entry; entry = readdir(process->fds))
        count += entry->d_name[0] != '.';
    return count;
}

void process_read(struct process *process, struct process_stats *out)
{
    struct timespec cpu = {0};
    *out = (struct process_stats){0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    out->cpu_us = (int64_t)cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000;
    if (!process) return;
    out->started_at_ms = process->opened_at_ms;
    out->max_fds = process->max_fds;
    out->open_fds = count_fds(process);
    read_memory(process, out);
}
