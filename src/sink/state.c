#include "sink/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_NAME_SIZE = SINK_NAME_MAX + 16, LINE_SIZE = 512 };

struct file_name {
    char text[FILE_NAME_SIZE];
};

static struct file_name file_of(const char *name, const char *kind)
{
    struct file_name file;
    snprintf(file.text, sizeof file.text, "%s.%s", name, kind);
    return file;
}

static FILE *open_file(int dir_fd, const char *name, const char *kind, int flags, const char *mode)
{
    int fd = openat(dir_fd, file_of(name, kind).text, flags | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, mode) : NULL;
    if (fd >= 0 && !file) close(fd);
    return file;
}

/* ---- the cursor ---- */

bool state_reserve(struct sink_state *state, size_t count)
{
    if (count <= state->waiting_cap) return true;
    size_t cap = count < 64 ? 64 : 2 * count;
    struct waiting_event *grown = realloc(state->waiting, cap * sizeof *grown);
    if (!grown) return false;
    state->waiting = grown;
    state->waiting_cap = cap;
    return true;
}

static bool read_waiting(struct sink_state *state, FILE *file)
{
    char line[LINE_SIZE];
    while (fgets(line, sizeof line, file)) {
        struct waiting_event event;
        uint64_t attempts, due_ms;
        if (!sink_number(line, "sequence", &event.sequence) ||
            !sink_number(line, "attempts", &attempts) || !sink_number(line, "due_ms", &due_ms))
            return false;
        event.attempts = (uint32_t)attempts;
        event.due_ms = (int64_t)due_ms;
        if (!state_reserve(state, state->waiting_count + 1)) return false;
        state->waiting[state->waiting_count++] = event;
    }
    return !ferror(file);
}

static bool read_receipt(char receipt[17], const char *line)
{
    static const char name[] = "\"receipt\":\"";
    const char *at = strstr(line, name);
    if (at) snprintf(receipt, 17, "%s", at + sizeof name - 1);
    return at && strspn(receipt, "0123456789abcdef") == 16;
}

static bool read_cursor(struct sink_state *state, FILE *file)
{
    char line[LINE_SIZE];
    uint64_t disabled = 0;
    if (!fgets(line, sizeof line, file) || !sink_number(line, "sequence", &state->sequence) ||
        !sink_number(line, "disabled", &disabled) || !read_receipt(state->receipt, line))
        return false;
    state->is_disabled = disabled == 1;
    return read_waiting(state, file);
}

bool state_read(struct sink_state *state, int dir_fd, const char *name,
                char problem[STATE_PROBLEM_MAX])
{
    *state = (struct sink_state){0};
    FILE *file = open_file(dir_fd, name, "cursor", O_RDONLY, "r");
    state->is_new = !file && errno == ENOENT;
    if (state->is_new) return true;
    bool is_read = file && read_cursor(state, file);
    if (!is_read)
        snprintf(problem, STATE_PROBLEM_MAX,
                 file ? "sinks/%s.cursor is damaged: remove it to send everything again"
                      : "sinks/%s.cursor cannot be opened",
                 name);
    if (file) fclose(file);
    return is_read;
}

void state_free(struct sink_state *state)
{
    free(state->waiting);
    *state = (struct sink_state){0};
}

/* Closes it in any case. */
static bool make_durable(FILE *file)
{
    bool is_good = fflush(file) == 0 && !ferror(file) && fdatasync(fileno(file)) == 0;
    return fclose(file) == 0 && is_good;
}

bool state_write(const struct sink_state *state, int dir_fd, const char *name)
{
    FILE *file = open_file(dir_fd, name, "cursor.new", O_WRONLY | O_CREAT | O_TRUNC, "w");
    if (!file) return false;
    fprintf(file, "{\"sequence\":%" PRIu64 ",\"receipt\":\"%s\",\"disabled\":%d}\n",
            state->sequence, state->receipt, state->is_disabled);
    for (size_t i = 0; i < state->waiting_count; i++)
        fprintf(file,
                "{\"sequence\":%" PRIu64 ",\"attempts\":%" PRIu32 ",\"due_ms\":%" PRId64 "}\n",
                state->waiting[i].sequence, state->waiting[i].attempts, state->waiting[i].due_ms);
    return make_durable(file) &&
           renameat(dir_fd, file_of(name, "cursor.new").text, dir_fd,
                    file_of(name, "cursor").text) == 0 &&
           fsync(dir_fd) == 0;
}

/* ---- dead letters ---- */

/* What a crash or a full disk cut off must not take the next line with it. */
static void end_last_line(FILE *file)
{
    char last = '\n';
    bool is_read = fseek(file, -1, SEEK_END) == 0 && fread(&last, 1, 1, file) == 1;
    fseek(file, 0, SEEK_END);
    if (is_read && last != '\n') fputc('\n', file);
}

bool dead_append(int dir_fd, const char *name, const struct dead_letter *letter)
{
    FILE *file = open_file(dir_fd, name, "dead", O_RDWR | O_CREAT | O_APPEND, "a+");
    if (!file) return false;
    end_last_line(file);
    fprintf(file,
            "{\"sequence\":%" PRIu64 ",\"receipt\":\"%s\",\"table\":\"%s\",\"attempts\":%" PRIu32
            ",\"reason\":\"%s\",\"dead_at_ms\":%" PRId64 "}\n",
            letter->sequence, letter->receipt, letter->table, letter->attempts, letter->reason,
            letter->dead_at_ms);
    return make_durable(file) && fsync(dir_fd) == 0;
}

uint64_t dead_count(int dir_fd, const char *name)
{
    char line[LINE_SIZE];
    uint64_t count = 0;
    FILE *file = open_file(dir_fd, name, "dead", O_RDONLY, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        count++;
    fclose(file);
    return count;
}

/* ---- wishes ---- */

bool wish_is_there(int dir_fd, const char *name, const char *kind)
{
    return faccessat(dir_fd, file_of(name, kind).text, F_OK, 0) == 0;
}

bool wish_make(int dir_fd, const char *name, const char *kind)
{
    FILE *file = open_file(dir_fd, name, kind, O_WRONLY | O_CREAT, "w");
    return file && fclose(file) == 0;
}

void wish_end(int dir_fd, const char *name, const char *kind)
{
    unlinkat(dir_fd, file_of(name, kind).text, 0);
}

bool again_begin(int dir_fd, const char *name)
{
    struct file_name again = file_of(name, "again");
    if (faccessat(dir_fd, again.text, F_OK, 0) == 0) return true;
    return renameat(dir_fd, file_of(name, "dead").text, dir_fd, again.text) == 0 &&
           fsync(dir_fd) == 0;
}

/* A line that was cut off by a crash names no event that is not tried anyway. */
size_t again_read(int dir_fd, const char *name, size_t skip, uint64_t *sequences, size_t cap)
{
    char line[LINE_SIZE];
    size_t count = 0;
    FILE *file = open_file(dir_fd, name, "again", O_RDONLY, "r");
    if (!file) return 0;
    while (count < cap && fgets(line, sizeof line, file)) {
        uint64_t sequence;
        if (!sink_number(line, "sequence", &sequence)) continue;
        if (skip > 0)
            skip--;
        else
            sequences[count++] = sequence;
    }
    fclose(file);
    return count;
}

void again_end(int dir_fd, const char *name)
{
    unlinkat(dir_fd, file_of(name, "again").text, 0);
    fsync(dir_fd);
}
