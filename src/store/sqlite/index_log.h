#pragma once

#include "base/err.h"
#include "base/span.h"
#include "store/index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What indexes were told, in the order of sequences, in files DIR/index-NAME.NUMBER: a start reads
 * this instead of rows. A cache: losing it, or a part of it, costs time and nothing else, so it is
 * never synced.
 *
 *   segment: block block block ...     the next one after about segment_size bytes
 *   block:   header | changes          all changes of the sequences [first, next)
 *
 * Every block has a checksum, in which that of the block before it is contained: blocks are read as
 * far as they follow each other, and what follows has been written behind exactly that. Changes
 * that do not fit into one block come in parts, of which the last one says `next`.
 *
 * That a log is of this database is for the caller to see, by the row before the end
 * (index_log_mark). Old segments go as wholes, when all of their sequences are expired. */

enum { INDEX_LOG_TOTALS = 7, INDEX_LOG_COUNTS = 4 };

/* Where a block ends: what was true then. */
struct index_log_mark {
    uint64_t sequence_next;
    uint64_t row_checksum; /* of the row before */
    int64_t totals[INDEX_LOG_TOTALS];
    uint64_t counts[INDEX_LOG_COUNTS]; /* entries of the log's indexes: room to make at once */
};

struct index_change {
    unsigned index; /* the caller's number, at most 255 */
    unsigned words; /* of the key */
    struct index_key key;
    uint64_t old_value; /* 0: an addition */
    uint64_t new_value;
};

/* Bytes of a block with its header. A change takes 16, and 8 more for a second word or an old
 * value. */
enum { INDEX_LOG_BLOCK_MAX = 1 << 20, INDEX_LOG_HEADER_SIZE = 152, INDEX_LOG_NAME_MAX = 32 };

struct index_log {
    int dir_fd;            /* borrowed */
    struct span name;      /* static */
    uint64_t identity;     /* whose keys these are: another one's blocks are not read */
    uint64_t segment_size; /* about: a segment ends with the block that passes it */
    int fd;                /* of `newest`, -1: not open yet */
    uint32_t oldest, newest;
    uint64_t end;      /* of what counts in `newest` */
    uint64_t chain;    /* checksum of the last block */
    uint64_t begin;    /* sequence that the block being filled begins with */
    uint32_t part;     /* of it */
    uint8_t *block;    /* INDEX_LOG_BLOCK_MAX */
    size_t size;       /* of it, header included */
    bool is_off;       /* nothing is noted any more */
    bool has_failed;   /* the last write, which is tried again */
    uint64_t failures; /* lines of the log are few */
};

enum { INDEX_LOG_SEGMENT_SIZE = 64 << 20 };

/* False: out of memory. Nothing is noted before index_log_start. */
bool index_log_open(struct index_log *log, int dir_fd, struct span name, uint64_t identity);
void index_log_close(struct index_log *log); /* what was not written is lost */

/* The changes of a block, one by one; false: no more. */
struct index_log_reader {
    const uint8_t *at, *end;
    uint64_t first;
};
bool index_log_next(struct index_log_reader *reader, struct index_change *change);

/* Hands over the changes of every block that follows from the segment on that covers sequence
 * `floor`, or from the oldest one on when that is 0, after the counts to expect. Leaves the last
 * complete mark in *mark; its sequence_next is 0 when there is none that may be used: what was
 * handed over is to be forgotten then. The error is the callee's. */
struct index_log_visitor {
    enum err (*on_block)(void *arg, struct index_log_reader changes,
                         const struct index_log_mark *mark);
    void (*on_counts)(void *arg, const uint64_t counts[INDEX_LOG_COUNTS]);
    void *arg;
};
enum err index_log_read(struct index_log *log, uint64_t floor,
                        const struct index_log_visitor *visitor, struct index_log_mark *mark);

/* Goes on behind what was read, or from `sequence` on with an empty log. */
void index_log_resume(struct index_log *log);
void index_log_restart(struct index_log *log, uint64_t sequence);

/* What was recorded and stands. */
void index_log_note(struct index_log *log, const struct index_change *change);

/* Everything up to the mark was noted: writes the block. A write that fails is logged, and tried
 * again with the next one. */
void index_log_write(struct index_log *log, const struct index_log_mark *mark);

/* Removes segments whose sequences are all below. */
void index_log_expire(struct index_log *log, uint64_t floor);
