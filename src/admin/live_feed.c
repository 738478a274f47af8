#include "admin/web_internal.h"
#include "admin/web_pages.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* A tick sends a stream no more than fits what may wait for it (http_stream_send). */
enum { PERIOD_MS = 1000, LINES_PER_TICK = 8 };

_Static_assert(WEB_EVENT_MAX - LIVE_LINE_MAX >= 0, "each line is an event");
_Static_assert(LINES_PER_TICK *(LIVE_LINE_MAX + 16) < HTTP_COPIED_BODY_MAX,
               "what is remembered does not cut off who comes");

struct viewer {
    struct live_feed *feed; /* NULL: free */
    uint64_t serial;        /* of the last line that was sent */
};

struct live_feed {
    struct admin *admin;
    struct live_look looks[2]; /* the one of `serial` at serial % 2 */
    uint64_t serial;           /* of the last look; the first one shows nothing */
    int64_t next_ms;
    struct viewer viewers[WEB_STREAMS_MAX + 1]; /* one is always free */
    struct {
        size_t len;
        char text[LIVE_LINE_MAX];
    } lines[LIVE_KEPT]; /* the one of a serial at serial % LIVE_KEPT */
};

/* Of the file system, and of the data file in it; what cannot be read, or is not there, is 0. */
static void read_disk(struct live_health *health, const char *dir, bool has_file)
{
    char path[4096];
    struct statvfs disk;
    struct stat file;
    if (statvfs(dir, &disk) == 0) {
        health->disk_bytes = disk.f_blocks * disk.f_frsize;
        health->disk_free_bytes = disk.f_bavail * disk.f_frsize;
    }
    if (!has_file) return;
    int len = snprintf(path, sizeof path, "%s/adtally.db", dir);
    if (len > 0 && (size_t)len < sizeof path && stat(path, &file) == 0)
        health->database_bytes = (uint64_t)file.st_size;
}

static void look(struct live_feed *feed)
{
    struct live_look *now = &feed->looks[++feed->serial % 2];
    const struct live_look *before = &feed->looks[(feed->serial - 1) % 2];
    struct admin *admin = feed->admin;
    *now = (struct live_look){.at_ms = clock_wall_ms(), .serial = feed->serial};
    now->started_at_ms = feed->serial > 1 ? before->started_at_ms : now->at_ms;
    api_stats_read(admin->api, &now->api);
    ledger_stats(admin->ledger, &now->health.ledger);
    now->health.is_healthy = ledger_is_healthy(admin->ledger);
    process_read(admin->process, &now->health.process);
    read_disk(&now->health, admin->dir, admin->url == NULL);
}

static void keep_line(struct live_feed *feed)
{
    struct writer out;
    size_t place = feed->serial % LIVE_KEPT;
    writer_init(&out, feed->lines[place].text, sizeof feed->lines[place].text);
    live_write(&out, &feed->looks[(feed->serial - 1) % 2], &feed->looks[feed->serial % 2]);
    feed->lines[place].len = out.overflow ? 0 : out.len;
}

void live_feed_tick(struct live_feed *feed)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms < feed->next_ms) return;
    feed->next_ms =
        now_ms - feed->next_ms > PERIOD_MS ? now_ms + PERIOD_MS : feed->next_ms + PERIOD_MS;
    look(feed);
    if (feed->serial > 1) keep_line(feed);
}

struct live_feed *live_feed_new(struct admin *admin)
{
    struct live_feed *feed = calloc(1, sizeof *feed);
    if (feed) feed->admin = admin;
    return feed;
}

void live_feed_free(struct live_feed *feed)
{
    free(feed);
}

static void send_lines(struct web_stream *stream, void *user)
{
    struct viewer *viewer = user;
    struct live_feed *feed = viewer->feed;
    for (int i = 0; i < LINES_PER_TICK && viewer->serial < feed->serial; i++) {
        size_t place = ++viewer->serial % LIVE_KEPT;
        struct span line = {feed->lines[place].text, feed->lines[place].len};
        if (line.len) web_stream_send(stream, SPAN_NONE, line);
    }
}

static void leave(void *user)
{
    ((struct viewer *)user)->feed = NULL;
}

void live_handle(struct web_request *request)
{
    static const struct web_stream_calls calls = {.on_tick = send_lines, .on_end = leave};
    struct live_feed *feed = request->web->live;
    struct viewer *viewer = feed->viewers;
    while (viewer->feed)
        viewer++;
    *viewer = (struct viewer){.feed = feed,
                              .serial = feed->serial > LIVE_KEPT ? feed->serial - LIVE_KEPT : 0};
    if (!web_stream_open(request, &calls, viewer)) viewer->feed = NULL;
}
