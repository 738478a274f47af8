#include "dir.h"
#include "log_files.h"
#include "unit.h"

#include "store/sqlite/index_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The log by itself: what was written comes back as far as it is whole, and no further. */

static const uint64_t IDENTITY = 0x1234;
enum { BLOCKS = 6, EVENTS = 10 };

struct place {
    char dir[UNIT_DIR_MAX];
    int fd;
    struct index_log log;
};

static void open_log(struct place *place, uint64_t identity)
{
    assert_true(index_log_open(&place->log, place->fd, SPAN("test"), identity));
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    unit_dir_make(place->dir, "log");
    place->fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_log(place, IDENTITY);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    index_log_close(&place->log);
    close(place->fd);
    unit_dir_remove(place->dir);
    free(place);
    return 0;
}

/* Of every shape, told from each other by the sequence. */
static struct index_change change_of(uint64_t sequence)
{
    return (struct index_change){
        .index = (unsigned)(sequence % 7),
        .words = 1 + sequence % 2,
        .key = {{sequence * 0x9e3779b97f4a7c15ULL, sequence % 2 ? ~sequence : 0}},
        .old_value = sequence % 3 ? 0 : INDEX_VALUE(sequence - 1, 200),
        .new_value = INDEX_VALUE(sequence, sequence * 5),
    };
}

static struct index_log_mark mark_at(uint64_t next)
{
    return (struct index_log_mark){.sequence_next = next,
                                   .row_checksum = next * 3,
                                   .totals = {(int64_t)next},
                                   .counts = {next}};
}

static void write_events(struct index_log *log, uint64_t from, uint64_t to)
{
    for (uint64_t sequence = from; sequence < to; sequence++) {
        struct index_change change = change_of(sequence);
        index_log_note(log, &change);
    }
    struct index_log_mark mark = mark_at(to);
    index_log_write(log, &mark);
}

static void write_blocks(struct place *place)
{
    index_log_restart(&place->log, 1);
    for (uint64_t i = 0; i < BLOCKS; i++)
        write_events(&place->log, 1 + i * EVENTS, 1 + (i + 1) * EVENTS);
}

struct seen {
    uint64_t next; /* sequence expected */
    uint64_t counts;
};

static enum err on_block(void *arg, struct index_log_reader changes,
                         const struct index_log_mark *mark)
{
    struct seen *seen = arg;
    struct index_change change;
    while (index_log_next(&changes, &change)) {
        struct index_change expected = change_of(seen->next++);
        assert_memory_equal(&change, &expected, sizeof change);
    }
    return ERR_OK;
}

static void on_counts(void *arg, const uint64_t counts[INDEX_LOG_COUNTS])
{
    ((struct seen *)arg)->counts = counts[0];
}

/* What a start finds: how far the log goes, 0: of no use. */
static uint64_t read_from(struct place *place, uint64_t floor, uint64_t first)
{
    struct seen seen = {.next = first};
    struct index_log_mark mark;
    const struct index_log_visitor visitor = {on_block, on_counts, &seen};
    index_log_close(&place->log);
    open_log(place, IDENTITY);
    assert_int_equal(index_log_read(&place->log, floor, &visitor, &mark), ERR_OK);
    if (!mark.sequence_next) return 0;
    struct index_log_mark expected = mark_at(mark.sequence_next);
    assert_memory_equal(&mark, &expected, sizeof mark);
    assert_int_equal(seen.next, mark.sequence_next);
    assert_true(seen.counts >= mark.sequence_next);
    return mark.sequence_next;
}

static void what_was_written_comes_back(void **state)
{
    write_blocks(*state);
    assert_int_equal(read_from(*state, 1, 1), 1 + BLOCKS * EVENTS);
}

static void nothing_is_of_no_use(void **state)
{
    assert_int_equal(read_from(*state, 1, 1), 0);
}

static void it_goes_on_behind_what_was_read(void **state)
{
    struct place *place = *state;
    write_blocks(place);
    for (uint64_t life = BLOCKS; life < BLOCKS + 3; life++) {
        uint64_t next = read_from(place, 1, 1);
        assert_int_equal(next, 1 + life * EVENTS);
        index_log_resume(&place->log);
        write_events(&place->log, next, next + EVENTS);
    }
    assert_int_equal(read_from(place, 1, 1), 1 + (BLOCKS + 3) * EVENTS);
}

static void another_directory_s_keys_are_not_read(void **state)
{
    struct place *place = *state;
    struct index_log_mark mark;
    const struct index_log_visitor visitor = {on_block, NULL, NULL};
    write_blocks(place);
    index_log_close(&place->log);
    open_log(place, IDENTITY + 1);
    assert_int_equal(index_log_read(&place->log, 1, &visitor, &mark), ERR_OK);
    assert_int_equal(mark.sequence_next, 0);
}

/* Cut, or one bit changed, at every byte: whole blocks before it count, and nothing behind. */
static void check_harm(struct place *place, bool is_cut)
{
    struct log_files logs = {.count = 0};
    write_blocks(place);
    log_files_take(&logs, place->dir);
    assert_int_equal(logs.count, 1);
    struct log_file *file = &logs.files[0];
    uint64_t last = 0;
    for (size_t at = 0; at < file->size; at++) {
        file->bytes[at] = (char)(file->bytes[at] ^ (is_cut ? 0 : 1 << at % 8));
        log_file_write(file, place->dir, is_cut ? at : file->size);
        uint64_t next = read_from(place, 1, 1);
        assert_true(next <= BLOCKS * EVENTS && next >= last && (next == 0 || next % EVENTS == 1));
        last = next;
        file->bytes[at] = (char)(file->bytes[at] ^ (is_cut ? 0 : 1 << at % 8));
    }
    assert_int_equal(last, 1 + (BLOCKS - 1) * EVENTS);
    log_files_free(&logs);
}

static void a_log_that_is_cut_counts_up_to_there(void **state)
{
    check_harm(*state, true);
}

static void a_changed_bit_ends_the_log(void **state)
{
    check_harm(*state, false);
}

/* Of the first block: a header ends with the size of its changes. */
static size_t changes_size(const struct log_file *file)
{
    uint32_t size;
    memcpy(&size, file->bytes + INDEX_LOG_HEADER_SIZE - sizeof size, sizeof size);
    return size;
}

/* Blocks of another life with the same sequences stand behind the end: they do not follow. */
static void what_stood_there_before_does_not_come_back(void **state)
{
    struct place *place = *state;
    struct log_files before = {.count = 0}, now = {.count = 0};
    write_blocks(place);
    log_files_take(&before, place->dir);
    index_log_restart(&place->log, 1);
    struct index_log_mark other = mark_at(1 + EVENTS);
    other.row_checksum++;
    index_log_write(&place->log, &other);
    log_files_take(&now, place->dir);
    assert_int_equal(now.count, 1);
    /* The new first block, and behind it what followed the old one. */
    struct log_file *mixed = &before.files[0], *first = &now.files[0];
    size_t old_size = INDEX_LOG_HEADER_SIZE + changes_size(mixed);
    strcpy(mixed->name, first->name);
    memmove(mixed->bytes + first->size, mixed->bytes + old_size, mixed->size - old_size);
    memcpy(mixed->bytes, first->bytes, first->size);
    log_file_write(mixed, place->dir, mixed->size - old_size + first->size);
    struct seen seen = {.next = 1};
    struct index_log_mark mark;
    const struct index_log_visitor visitor = {on_block, NULL, &seen};
    index_log_close(&place->log);
    open_log(place, IDENTITY);
    assert_int_equal(index_log_read(&place->log, 1, &visitor, &mark), ERR_OK);
    assert_int_equal(mark.sequence_next, 1 + EVENTS);
    assert_int_equal(seen.next, 1);
    log_files_free(&before);
    log_files_free(&now);
}

static size_t count_files(const struct place *place)
{
    struct log_files logs = {.count = 0};
    log_files_take(&logs, place->dir);
    size_t count = logs.count;
    log_files_free(&logs);
    return count;
}

static void old_segments_go_when_all_of_them_is_expired(void **state)
{
    struct place *place = *state;
    place->log.segment_size = 1; /* one block each */
    write_blocks(place);
    assert_int_equal(count_files(place), BLOCKS);
    index_log_expire(&place->log, EVENTS); /* all but one sequence of the first */
    assert_int_equal(count_files(place), BLOCKS);
    index_log_expire(&place->log, 1 + 3 * EVENTS);
    assert_int_equal(count_files(place), BLOCKS - 3);
    assert_int_equal(read_from(place, 1, 1), 0); /* it begins too late */
    assert_int_equal(read_from(place, 1 + 3 * EVENTS, 1 + 3 * EVENTS), 1 + BLOCKS * EVENTS);
    assert_int_equal(read_from(place, 5 * EVENTS, 1 + 4 * EVENTS), 1 + BLOCKS * EVENTS);
    index_log_resume(&place->log); /* what was not read goes */
    assert_int_equal(count_files(place), 2);
}

static void a_missing_segment_ends_the_log(void **state)
{
    struct place *place = *state;
    place->log.segment_size = 1;
    write_blocks(place);
    assert_int_equal(unlinkat(place->fd, "index-test.6", 0), 0);
    assert_int_equal(read_from(place, 1, 1), 1 + (BLOCKS - 1) * EVENTS);
    assert_int_equal(unlinkat(place->fd, "index-test.3", 0), 0);
    assert_int_equal(read_from(place, 1, 1), 0); /* no way down to the floor */
}

/* More than a block holds: in parts, which count together or not at all. */
static void many_changes_come_in_parts(void **state)
{
    enum { MANY = 100000 };
    struct place *place = *state;
    index_log_restart(&place->log, 1);
    write_events(&place->log, 1, 1 + MANY);
    write_events(&place->log, 1 + MANY, 1 + MANY + EVENTS);
    assert_int_equal(read_from(place, 1, 1), 1 + MANY + EVENTS);
    struct log_files logs = {.count = 0};
    log_files_take(&logs, place->dir);
    assert_true(logs.files[0].size > INDEX_LOG_BLOCK_MAX);
    log_file_write(&logs.files[0], place->dir, INDEX_LOG_BLOCK_MAX + 100);
    log_files_free(&logs);
    assert_int_equal(read_from(place, 1, 1), 0);
}

/* A write that fails is tried again, with all that was noted since. */
static void a_failed_write_is_made_up_for(void **state)
{
    struct place *place = *state;
    index_log_restart(&place->log, 1);
    int fd = place->log.dir_fd;
    place->log.dir_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    write_events(&place->log, 1, 1 + EVENTS);
    assert_true(place->log.has_failed);
    close(place->log.dir_fd);
    place->log.dir_fd = fd;
    write_events(&place->log, 1 + EVENTS, 1 + 2 * EVENTS);
    assert_false(place->log.has_failed);
    assert_int_equal(read_from(place, 1, 1), 1 + 2 * EVENTS);
}

static void a_disk_that_stays_full_ends_the_noting(void **state)
{
    enum { MANY = 100000 };
    struct place *place = *state;
    index_log_restart(&place->log, 1);
    write_events(&place->log, 1, 1 + EVENTS);
    index_log_close(&place->log);
    assert_int_equal(read_from(place, 1, 1), 1 + EVENTS);
    index_log_resume(&place->log);
    int fd = place->log.dir_fd;
    place->log.dir_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    write_events(&place->log, 1 + EVENTS, MANY);
    assert_true(place->log.is_off);
    close(place->log.dir_fd);
    place->log.dir_fd = fd;
    write_events(&place->log, MANY, MANY + 1);
    assert_int_equal(read_from(place, 1, 1), 1 + EVENTS); /* what stood before still counts */
}

#define LOG_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_CASE(what_was_written_comes_back),
        LOG_CASE(nothing_is_of_no_use),
        LOG_CASE(it_goes_on_behind_what_was_read),
        LOG_CASE(another_directory_s_keys_are_not_read),
        LOG_CASE(a_log_that_is_cut_counts_up_to_there),
        LOG_CASE(a_changed_bit_ends_the_log),
        LOG_CASE(what_stood_there_before_does_not_come_back),
        LOG_CASE(old_segments_go_when_all_of_them_is_expired),
        LOG_CASE(a_missing_segment_ends_the_log),
        LOG_CASE(many_changes_come_in_parts),
        LOG_CASE(a_failed_write_is_made_up_for),
        LOG_CASE(a_disk_that_stays_full_ends_the_noting),
    };
    return UNIT_RUN(tests);
}
