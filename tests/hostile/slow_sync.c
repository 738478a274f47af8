/* Preloaded into a server: every sync waits first, for as many microseconds as the int64_t in the
 * file named by ADTALLY_SYNC_DELAY says at that moment. A disk that is slow, while everything else
 * runs at its own speed. The file is mapped at once: later the server is in its sandbox. */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_US = 1000000, US_NS = 1000 };

static const volatile int64_t *delay_us;

__attribute__((constructor)) static void map_delay(void)
{
    const char *path = getenv("ADTALLY_SYNC_DELAY");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) abort();
    void *at = mmap(NULL, sizeof *delay_us, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) abort();
    delay_us = at;
}

typedef int sync_function(int fd);

static int sync_slowly(const char *name, int fd)
{
    int64_t wait_us = *delay_us;
    struct timespec wait = {wait_us / SECOND_US, wait_us % SECOND_US * US_NS};
    if (wait_us > 0) nanosleep(&wait, NULL);
    sync_function *real;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd)
{
    return sync_slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_slowly("fdatasync", fd);
}
