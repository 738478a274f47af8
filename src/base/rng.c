#include "base/rng.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

void rng_fill(void *memory, size_t size)
{
    char *at = memory;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        ASSERT(got > 0);
        at += got;
        size -= (size_t)got;
    }
}
