#include "base/secret.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t size)
{
    return (size + page_size() - 1) / page_size() * page_size();
}

static void warn(void)
{
    log_event(LOG_WARN, "keys_not_locked",
              LOG_TEXT("advice", SPAN("raise the limit of locked memory (ulimit -l): until then "
                                      "keys may be swapped out")));
}

static void lock(void *memory, size_t size)
{
    static pthread_once_t warned = PTHREAD_ONCE_INIT;
    if (mlock(memory, size) != 0) pthread_once(&warned, warn);
    (void)madvise(memory, size, MADV_DONTDUMP);
}

void *secret_new(size_t size)
{
    size_t inner = whole_pages(size), guard = page_size();
    char *outer = mmap(NULL, inner + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (outer == MAP_FAILED) return NULL;
    if (mprotect(outer + guard, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(outer, inner + 2 * guard);
        return NULL;
    }
    lock(outer + guard, inner);
    return outer + guard;
}

void secret_free(void *memory, size_t size)
{
    if (!memory) return;
    size_t inner = whole_pages(size), guard = page_size();
    explicit_bzero(memory, size);
    munmap((char *)memory - guard, inner + 2 * guard);
}

void secret_process(void)
{
    const struct rlimit none = {0, 0};
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}
