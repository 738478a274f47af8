#include "cli/progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { WAIT_MS = 300, INTERVAL_MS = 100, WIDTH = 30, PER_MILLE = 1000 };

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
    progress_show(arg, done, of);
}

struct store_progress progress_begin(struct progress *progress, const char *name)
{
    *progress = (struct progress){
        .name = name, .is_shown = isatty(STDERR_FILENO), .begun_ms = clock_mono_ms()};
    return (struct store_progress){on_progress, progress};
}

static void draw(const struct progress *progress, unsigned per_mille, int64_t now_ms)
{
    char bar[WIDTH + 1];
    for (unsigned i = 0; i < WIDTH; i++)
        bar[i] = i * PER_MILLE < per_mille * WIDTH ? '#' : '.';
    bar[WIDTH] = '\0';
    int64_t passed_ms = now_ms - progress->begun_ms;
    int64_t left_s = per_mille ? passed_ms * (PER_MILLE - per_mille) / per_mille / 1000 : 0;
    fprintf(stderr, "\r%s [%s] %3u%%, %lld s left \033[K", progress->name, bar, per_mille / 10,
            (long long)left_s);
    fflush(stderr);
}

void progress_show(struct progress *progress, uint64_t done, uint64_t of)
{
    int64_t now_ms = clock_mono_ms();
    if (!progress->is_shown || now_ms - progress->begun_ms < WAIT_MS ||
        now_ms - progress->drawn_ms < INTERVAL_MS)
        return;
    progress->drawn_ms = now_ms;
    progress->is_drawn = true;
    if (done > of) done = of;
    draw(progress, of ? (unsigned)((double)done / (double)of * PER_MILLE) : 0, now_ms);
}

void progress_end(struct progress *progress)
{
    if (!progress->is_drawn) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}
