#include "store/sinks.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_NAME_SIZE = SINK_NAME_MAX + 16, TEXT_SIZE = 512, PATH_SIZE = 512 };

bool sink_number(const char *line, const char *name, uint64_t *out)
{
    char quoted[FILE_NAME_SIZE];
    unsigned long long number;
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(line, quoted);
    if (!at) return false;
    at += strlen(quoted);
    if (!span_to_u64((struct span){at, strspn(at, "0123456789")}, UINT64_MAX, &number))
        return false;
    *out = number;
    return true;
}

bool sink_name_is_good(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && !strchr("-_", name.ptr[i])) return false;
    return name.len > 0 && name.len <= SINK_NAME_MAX;
}

static bool write_file(int dir_fd, const char *name, const char *text, size_t len)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool is_whole = write(fd, text, len) == (ssize_t)len;
    close(fd);
    return is_whole;
}

bool sink_status_write(int dir_fd, const struct sink_status *status)
{
    char name[FILE_NAME_SIZE], made[FILE_NAME_SIZE], text[TEXT_SIZE];
    int len = snprintf(
        text, sizeof text,
        "{\"sequence\":%" PRIu64 ",\"last_sequence\":%" PRIu64 ",\"waiting_since_ms\":%" PRId64
        ",\"updated_at_ms\":%" PRId64 ",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
        ",\"waiting\":%" PRIu64 ",\"dead_letters\":%" PRIu64 ",\"disabled\":%d}\n",
        status->sequence, status->last_sequence, status->waiting_since_ms, status->updated_at_ms,
        status->sent, status->failed, status->waiting, status->dead_letters, status->is_disabled);
    snprintf(name, sizeof name, "%s.status", status->name);
    snprintf(made, sizeof made, "%s.status.new", status->name);
    return write_file(dir_fd, made, text, (size_t)len) && renameat(dir_fd, made, dir_fd, name) == 0;
}

bool sink_status_read(int dir_fd, const char *name, struct sink_status *out)
{
    char file[FILE_NAME_SIZE], text[TEXT_SIZE];
    uint64_t since_ms = 0, updated_ms = 0, disabled = 0;
    *out = (struct sink_status){0};
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(file, sizeof file, "%s.status", out->name);
    int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) return false;
    text[len] = '\0';
    bool is_whole =
        sink_number(text, "sequence", &out->sequence) &&
        sink_number(text, "last_sequence", &out->last_sequence) &&
        sink_number(text, "waiting_since_ms", &since_ms) &&
        sink_number(text, "updated_at_ms", &updated_ms) && sink_number(text, "sent", &out->sent) &&
        sink_number(text, "failed", &out->failed) && sink_number(text, "waiting", &out->waiting) &&
        sink_number(text, "dead_letters", &out->dead_letters) &&
        sink_number(text, "disabled", &disabled);
    out->waiting_since_ms = (int64_t)since_ms;
    out->updated_at_ms = (int64_t)updated_ms;
    out->is_disabled = disabled == 1;
    return is_whole;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sink_status *)a)->name, ((const struct sink_status *)b)->name);
}

/* "NAME.status": its name's length, or 0. */
static size_t name_len(const char *file)
{
    const char *dot = strchr(file, '.');
    if (!dot || strcmp(dot, ".status") != 0) return 0;
    size_t len = (size_t)(dot - file);
    return sink_name_is_good((struct span){file, len}) ? len : 0;
}

unsigned sink_statuses_read(const char *dir, struct sink_status out[SINKS_MAX])
{
    char path[PATH_SIZE], name[SINK_NAME_MAX + 1];
    unsigned count = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/sinks", dir) >= sizeof path) return 0;
    DIR *files = opendir(path);
    if (!files) return 0;
    for (const struct dirent *entry = readdir(files); entry && count < SINKS_MAX;
         entry = readdir(files)) {
        size_t len = name_len(entry->d_name);
        snprintf(name, sizeof name, "%.*s", (int)len, entry->d_name);
        if (len && sink_status_read(dirfd(files), name, &out[count])) count++;
    }
    closedir(files);
    qsort(out, count, sizeof out[0], by_name);
    return count;
}

uint64_t sink_lag_events(const struct sink_status *status, uint64_t last_sequence)
{
    uint64_t behind = last_sequence > status->sequence ? last_sequence - status->sequence : 0;
    return behind + status->waiting;
}

/* A sender that ended says nothing of what came after it: that waits since then, at least. */
int64_t sink_lag_ms(const struct sink_status *status, uint64_t last_sequence, int64_t now_ms)
{
    if (sink_lag_events(status, last_sequence) == 0) return 0;
    int64_t since_ms = status->waiting_since_ms ? status->waiting_since_ms : status->updated_at_ms;
    return now_ms > since_ms ? now_ms - since_ms : 0;
}
