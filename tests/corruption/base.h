#pragma once

#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A small database with a row of every kind, made by the real store, and what a server that opens
 * it has to answer. */

enum { PATH_CAP = 256, PROBES_MAX = 900, FILE_CAP = 4 * 1024 * 1024 };

struct file {
    char name[32];
    uint8_t *bytes;
    size_t size;
};
enum {
    FILE_DB,
    FILE_WAL,
    FILE_SECRETS,
    FILE_INDEX_CLICKS,
    FILE_INDEX_BIDS,
    FILE_INDEX_EVENTS,
    FILE_INDEX_VOTES,
    FILES_COUNT,
    FILE_INDEX_FIRST = FILE_INDEX_CLICKS,
};

/* Ops that are sent again, and how an undamaged store answers them. Their texts live for ever. */
struct probe {
    struct op op;
    enum outcome outcome;
    uint64_t sequence;
    uint64_t votes;        /* poll results: all options together, weighted by position */
    bool is_of_last_batch; /* the last one before the files were taken */
};

struct base {
    struct file files[FILES_COUNT];
    struct probe probes[PROBES_MAX];
    size_t probes_count;
    size_t wal_last_at;   /* where the WAL's last transaction begins */
    uint64_t last;        /* sequence */
    uint64_t keys_digest; /* of what store_each_key says */
    struct secrets secrets;
    char *dump;        /* all rows as text */
    char *dump_before; /* before the last batch of the WAL */
};

/* `with_wal`: the files of a process that died with the second half of its batches in the WAL;
 * else those of one that stopped. `dir` is an empty directory. Aborts when it fails. */
void base_make(struct base *base, const char *dir, bool with_wal, uint64_t seed);

/* The files of a directory become the base's. */
void base_take(struct base *base, const char *dir);

/* Without the logs of the indexes a start reads all rows. */
void base_drop_logs(struct base *base);

/* The files as they are, in an otherwise empty directory. */
void base_write(const struct base *base, const char *dir);

/* All rows of all tables as text, by plain SQLite; NULL when it cannot read them. */
char *base_dump(const char *dir);

void base_options(struct store_options *options, const char *dir);
uint64_t base_keys_digest(struct store *store, enum err *err);

/* What the probe's op was answered, all in one batch; `ops` is scratch of PROBES_MAX. */
enum err base_ask(const struct base *base, struct store *store, struct op *ops);
uint64_t base_votes(const struct op *op);
