/* Preloaded into a server: every sync waits first, for as many microseconds as the file named by
 * ADTALLY_SYNC_DELAY says. A disk that is slow, while everything else runs at its own speed. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_first(void)
{
    long delay_us = 0;
    const char *path = getenv("ADTALLY_SYNC_DELAY");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return;
    if (fscanf(file, "%ld", &delay_us) != 1) delay_us = 0;
    fclose(file);
    struct timespec delay = {delay_us / 1000000, delay_us % 1000000 * 1000};
    nanosleep(&delay, NULL);
}

typedef int sync_function(int fd);

static int sync_slowly(const char *name, int fd)
{
    wait_first();
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
