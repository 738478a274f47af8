#include "store/sqlite/index_log.h"

#include "base/assert.h"
#include "base/log.h"
#include "store/checksum.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In this machine's byte order: elsewhere the magic number differs, and the rows are read. */
struct header {
    uint64_t magic;
    uint64_t checksum; /* of all that follows, changes included */
    uint64_t previous; /* checksum of the block before */
    uint64_t identity;
    uint64_t first, next; /* next == first: more parts follow */
    uint64_t row_checksum;
    int64_t totals[INDEX_LOG_TOTALS];
    uint64_t counts[INDEX_LOG_COUNTS];
    uint32_t part; /* 0: begins at `first` */
    uint32_t size; /* of the changes */
};
static const uint64_t MAGIC = 0x3130676f6c786469; /* the format's version is in it */
enum { CHECKED_FROM = offsetof(struct header, previous) };
_Static_assert(sizeof(struct header) == INDEX_LOG_HEADER_SIZE, "without gaps");

/* A change: one word that says what it is, the key, the old value.
 *
 *   63           24  17       16        15  8  7   0
 *   sequence - first  has old  two words  tag  index */
enum { TWO_WORDS = 1 << 16, HAS_OLD = 1 << 17, SEQUENCE_SHIFT = 24, CHANGE_MAX = 32 };

enum { FAILURES_LOGGED_EVERY = 1000 };

/* -- changes ------------------------------------------------------------------------------- */

static uint64_t take_word(struct index_log_reader *reader)
{
    uint64_t word = 0;
    if (reader->end - reader->at >= (ptrdiff_t)sizeof word) {
        memcpy(&word, reader->at, sizeof word);
        reader->at += sizeof word;
    }
    return word;
}

bool index_log_next(struct index_log_reader *reader, struct index_change *change)
{
    if (reader->at >= reader->end) return false;
    uint64_t word = take_word(reader);
    *change = (struct index_change){
        .index = (uint8_t)word,
        .words = word & TWO_WORDS ? 2 : 1,
        .new_value = INDEX_VALUE(reader->first + (word >> SEQUENCE_SHIFT), word >> 8),
    };
    change->key.word[0] = take_word(reader);
    if (word & TWO_WORDS) change->key.word[1] = take_word(reader);
    if (word & HAS_OLD) change->old_value = take_word(reader);
    return true;
}

static void put_word(struct index_log *log, uint64_t word)
{
    memcpy(log->block + log->size, &word, sizeof word);
    log->size += sizeof word;
}

static void put_change(struct index_log *log, const struct index_change *change)
{
    uint64_t sequence = INDEX_SEQUENCE(change->new_value);
    ASSERT(change->index <= UINT8_MAX && sequence >= log->begin);
    put_word(log, (sequence - log->begin) << SEQUENCE_SHIFT | (change->old_value ? HAS_OLD : 0) |
                      (change->words == 2 ? TWO_WORDS : 0) |
                      (uint64_t)INDEX_TAG(change->new_value) << 8 | change->index);
    put_word(log, change->key.word[0]);
    if (change->words == 2) put_word(log, change->key.word[1]);
    if (change->old_value) put_word(log, change->old_value);
}

/* -- segments ------------------------------------------------------------------------------ */

static void name_segment(const struct index_log *log, uint32_t number, char name[48])
{
    snprintf(name, 48, "index-%.*s.%u", SPAN_FMT(log->name), number);
}

static int open_segment(const struct index_log *log, uint32_t number, int flags)
{
    char name[48];
    name_segment(log, number, name);
    return openat(log->dir_fd, name, flags | O_CLOEXEC, 0600);
}

static void remove_segment(const struct index_log *log, uint32_t number)
{
    char name[48];
    name_segment(log, number, name);
    unlinkat(log->dir_fd, name, 0);
}

/* 0: the name is not of a segment of this log. */
static uint32_t segment_number(const struct index_log *log, const char *name)
{
    char expected[48];
    size_t prefix = sizeof "index-" - 1 + log->name.len + 1;
    if (strlen(name) <= prefix) return 0;
    unsigned long number = strtoul(name + prefix, NULL, 10);
    if (number == 0 || number >= UINT32_MAX) return 0;
    name_segment(log, (uint32_t)number, expected);
    return strcmp(name, expected) == 0 ? (uint32_t)number : 0;
}

/* Of the log's files: the highest number, 0 when there is none. Removes those outside of the range,
 * unless it is empty. */
static uint32_t list_segments(const struct index_log *log, uint32_t keep_from, uint32_t keep_to)
{
    uint32_t highest = 0;
    int fd = openat(log->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (!list) {
        if (fd >= 0) close(fd);
        return 0;
    }
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        uint32_t number = segment_number(log, entry->d_name);
        if (number > highest) highest = number;
        if (number && keep_to && (number < keep_from || number > keep_to))
            remove_segment(log, number);
    }
    closedir(list);
    return highest;
}

/* -- reading ------------------------------------------------------------------------------- */

static bool read_all(int fd, void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

/* What only says where to look: the checksum was not compared. */
static bool peek_header(const struct index_log *log, uint32_t number, struct header *header)
{
    int fd = open_segment(log, number, O_RDONLY);
    bool is_read = fd >= 0 && read_all(fd, header, sizeof *header, 0);
    if (fd >= 0) close(fd);
    return is_read && header->magic == MAGIC && header->identity == log->identity;
}

static uint64_t block_checksum(const uint8_t *block, size_t size)
{
    return checksum_add(MAGIC, CHECKSUM_BLOB, block + CHECKED_FROM, size - CHECKED_FROM);
}

/* The block at `end` of an open segment into the log's memory; false: there is none that is whole.
 */
static bool read_block(struct index_log *log, int fd, struct header *header)
{
    if (!read_all(fd, log->block, sizeof *header, log->end)) return false;
    memcpy(header, log->block, sizeof *header);
    if (header->magic != MAGIC || header->identity != log->identity ||
        header->size > INDEX_LOG_BLOCK_MAX - sizeof *header)
        return false;
    size_t size = sizeof *header + header->size;
    return read_all(fd, log->block + sizeof *header, header->size, log->end + sizeof *header) &&
           block_checksum(log->block, size) == header->checksum;
}

static bool follows(const struct index_log *log, const struct header *header, bool is_first)
{
    if (is_first) return header->part == 0;
    return header->previous == log->chain && header->first == log->begin &&
           header->part == log->part;
}

static struct index_log_mark mark_of(const struct header *header)
{
    struct index_log_mark mark = {.sequence_next = header->next,
                                  .row_checksum = header->row_checksum};
    memcpy(mark.totals, header->totals, sizeof mark.totals);
    memcpy(mark.counts, header->counts, sizeof mark.counts);
    return mark;
}

struct reading {
    const struct index_log_visitor *visitor;
    struct index_log_mark *mark;
    bool is_begun;
    enum err err;
};

static void pass_block(struct index_log *log, struct reading *reading, const struct header *header)
{
    const struct index_log_visitor *visitor = reading->visitor;
    const uint8_t *changes = log->block + sizeof *header;
    struct index_log_mark mark = mark_of(header);
    bool is_whole = header->next > header->first;
    reading->is_begun = true;
    struct index_log_reader reader = {changes, changes + header->size, header->first};
    reading->err = visitor->on_block(visitor->arg, reader, &mark);
    if (is_whole) *reading->mark = mark;
    log->chain = header->checksum;
    log->begin = header->next;
    log->part = is_whole ? 0 : header->part + 1;
    log->end += sizeof *header + header->size;
}

/* False: nothing in this segment follows. */
static bool read_segment(struct index_log *log, uint32_t number, struct reading *reading)
{
    struct header header;
    uint64_t end_before = log->end;
    int fd = open_segment(log, number, O_RDONLY);
    if (fd < 0) return false;
    log->end = 0;
    while (!reading->err && read_block(log, fd, &header) &&
           follows(log, &header, !reading->is_begun))
        pass_block(log, reading, &header);
    close(fd);
    if (log->end == 0) {
        log->end = end_before;
        return false;
    }
    log->newest = number;
    return true;
}

static bool exists(const struct index_log *log, uint32_t number)
{
    int fd = open_segment(log, number, O_RDONLY);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* The youngest segment that begins at or below the floor, or without one the oldest; 0: there is
 * none. */
static uint32_t find_start(const struct index_log *log, uint32_t highest, uint64_t floor)
{
    uint32_t oldest = 0;
    for (uint32_t number = highest; number > 0 && exists(log, number); number--) {
        struct header header;
        if (!peek_header(log, number, &header) || header.part != 0) continue;
        if (floor > 0 && header.first <= floor) return number;
        oldest = number;
    }
    return floor > 0 ? 0 : oldest;
}

/* What the last block says: headers lead to it without reading what stands between them. */
static void announce(const struct index_log *log, uint32_t highest,
                     const struct index_log_visitor *visitor)
{
    struct header header, last = {.magic = 0};
    int fd = visitor->on_counts ? open_segment(log, highest, O_RDONLY) : -1;
    if (fd < 0) return;
    uint64_t end = 0;
    while (read_all(fd, &header, sizeof header, end) && header.magic == MAGIC &&
           header.identity == log->identity) {
        last = header;
        end += sizeof header + header.size;
    }
    close(fd);
    if (last.magic) visitor->on_counts(visitor->arg, last.counts);
}

enum err index_log_read(struct index_log *log, uint64_t floor,
                        const struct index_log_visitor *visitor, struct index_log_mark *mark)
{
    struct reading reading = {.visitor = visitor, .mark = mark};
    log->part = 0;
    *mark = (struct index_log_mark){.sequence_next = 0};
    uint32_t highest = list_segments(log, 0, 0);
    log->newest = highest;
    log->oldest = find_start(log, highest, floor);
    if (!log->oldest) return ERR_OK;
    announce(log, highest, visitor);
    for (uint32_t number = log->oldest; number <= highest && !reading.err; number++)
        if (!read_segment(log, number, &reading)) break;
    if (reading.err || log->part) *mark = (struct index_log_mark){.sequence_next = 0};
    return reading.err;
}

/* -- writing ------------------------------------------------------------------------------- */

bool index_log_open(struct index_log *log, int dir_fd, struct span name, uint64_t identity)
{
    ASSERT(name.len <= INDEX_LOG_NAME_MAX);
    *log = (struct index_log){
        .dir_fd = dir_fd,
        .name = name,
        .identity = identity,
        .segment_size = INDEX_LOG_SEGMENT_SIZE,
        .fd = -1,
        .block = malloc(INDEX_LOG_BLOCK_MAX), /* touched only as far as it is used */
        .is_off = true,
    };
    return log->block != NULL;
}

void index_log_close(struct index_log *log)
{
    if (!log->block) return;
    if (log->fd >= 0) close(log->fd);
    free(log->block);
    *log = (struct index_log){.fd = -1, .is_off = true};
}

static void close_segment(struct index_log *log)
{
    if (log->fd >= 0) close(log->fd);
    log->fd = -1;
}

static void start_block(struct index_log *log)
{
    log->size = sizeof(struct header);
}

void index_log_resume(struct index_log *log)
{
    list_segments(log, log->oldest, log->newest);
    log->is_off = false;
    start_block(log);
}

/* Under a number of its own: a removal that a power cut undoes meets nothing of the new one. */
void index_log_restart(struct index_log *log, uint64_t sequence)
{
    close_segment(log);
    log->newest++;
    list_segments(log, log->newest, log->newest);
    log->oldest = log->newest;
    log->end = log->chain = 0;
    log->begin = sequence > 0 ? sequence : 1;
    log->part = 0;
    log->is_off = false;
    start_block(log);
}

static bool write_all(int fd, const uint8_t *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(fd, bytes + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        done += (size_t)put;
    }
    return true;
}

static bool open_for_block(struct index_log *log)
{
    if (log->end >= log->segment_size) {
        close_segment(log);
        log->newest++;
        log->end = 0;
    }
    if (log->fd < 0)
        log->fd = open_segment(log, log->newest, log->end ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC);
    return log->fd >= 0;
}

static void note_failure(struct index_log *log, const char *event, int code)
{
    if (!log->has_failed && log->failures++ % FAILURES_LOGGED_EVERY == 0)
        log_event(LOG_WARN, event, LOG_TEXT("log", log->name),
                  LOG_TEXT("reason", span_of(strerror(code))),
                  LOG_TEXT("consequence", SPAN("the next start reads rows instead and takes "
                                               "longer; nothing is lost")));
    log->has_failed = true;
}

static bool write_block(struct index_log *log, const struct index_log_mark *mark)
{
    struct header header = {
        .magic = MAGIC,
        .previous = log->chain,
        .identity = log->identity,
        .first = log->begin,
        .next = mark->sequence_next,
        .row_checksum = mark->row_checksum,
        .part = log->part,
        .size = (uint32_t)(log->size - sizeof header),
    };
    memcpy(header.totals, mark->totals, sizeof header.totals);
    memcpy(header.counts, mark->counts, sizeof header.counts);
    memcpy(log->block, &header, sizeof header);
    header.checksum = block_checksum(log->block, log->size);
    memcpy(log->block, &header, sizeof header);
    if (!open_for_block(log) || !write_all(log->fd, log->block, log->size, log->end)) {
        note_failure(log, "index_log_failed", errno);
        return false;
    }
    log->has_failed = false;
    log->end += log->size;
    log->chain = header.checksum;
    log->begin = header.next;
    start_block(log);
    return true;
}

void index_log_note(struct index_log *log, const struct index_change *change)
{
    if (log->is_off) return;
    if (log->size + CHANGE_MAX > INDEX_LOG_BLOCK_MAX) {
        struct index_log_mark more_follows = {.sequence_next = log->begin};
        log->is_off = !write_block(log, &more_follows); /* until the next start */
        if (log->is_off) return;
        log->part++;
    }
    put_change(log, change);
}

void index_log_write(struct index_log *log, const struct index_log_mark *mark)
{
    if (!log->is_off && mark->sequence_next > log->begin && write_block(log, mark)) log->part = 0;
}

void index_log_expire(struct index_log *log, uint64_t floor)
{
    struct header next;
    while (log->oldest < log->newest && peek_header(log, log->oldest + 1, &next) &&
           next.part == 0 && next.first <= floor)
        remove_segment(log, log->oldest++);
}
