/* fsync_probe FILE COUNT: what one durable write costs on this file system. Writes FILE_SIZE bytes
 * once, then times COUNT rounds of each way and prints, in microseconds:
 *
 *     append p50 p99       4 KiB at the end (the file grows), fdatasync
 *     overwrite p50 p99    4 KiB over blocks that exist, fdatasync
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_SIZE = 4096, FILE_BLOCKS = 1024, ROUNDS_MAX = 100000 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "fsync_probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void write_block(int fd, int64_t index)
{
    static const char block[BLOCK_SIZE] = {1};
    if (pwrite(fd, block, BLOCK_SIZE, index * BLOCK_SIZE) != BLOCK_SIZE) die("write");
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report(const char *name, double *samples_us, size_t count)
{
    qsort(samples_us, count, sizeof *samples_us, compare_doubles);
    printf("%s %.1f %.1f\n", name, samples_us[count / 2], samples_us[count * 99 / 100]);
}

/* Round i writes block `first + i`; `wrap` of them before starting over (0: never). */
static void measure(const char *name, int fd, int64_t first, int64_t wrap, size_t count,
                    double *samples_us)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t offset = wrap ? (int64_t)i % wrap : (int64_t)i;
        const double start_us = now_us();
        write_block(fd, first + offset);
        if (fdatasync(fd)) die("fdatasync");
        samples_us[i] = now_us() - start_us;
    }
    report(name, samples_us, count);
}

int main(int argc, char **argv)
{
    const long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (count < 1 || count > ROUNDS_MAX) {
        fputs("usage: fsync_probe FILE COUNT\n", stderr);
        return 2;
    }
    const int fd = open(argv[1], O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) die(argv[1]);
    for (int64_t i = 0; i < FILE_BLOCKS; i++)
        write_block(fd, i);
    if (fsync(fd)) die("fsync");

    double *samples_us = calloc((size_t)count, sizeof *samples_us);
    if (!samples_us) die("memory");
    measure("append", fd, FILE_BLOCKS, 0, (size_t)count, samples_us);
    measure("overwrite", fd, 0, FILE_BLOCKS, (size_t)count, samples_us);
    free(samples_us);
    close(fd);
    unlink(argv[1]);
    return 0;
}
