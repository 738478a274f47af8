#include "store/sqlite/sqlite.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

/* Most of a start is spent here, so two threads share it: one reads rows and computes fingerprints,
 * over a read-only connection of its own; the store's thread puts them into the index. Two blocks
 * go back and forth between them. */

enum { BLOCK_KEYS = 4096, BLOCKS = 2, PREFETCH_DISTANCE = 24 };

struct key_at {
    struct index_key key;
    uint64_t sequence;
    enum dedup_layer layer;
};

struct key_reader {
    struct sqlite_store *store; /* its options and fingerprint key are read, nothing else */
    sqlite3 *db;
    uint64_t floor;
    sem_t empty, filled;
    struct key_block {
        struct key_at keys[BLOCK_KEYS];
        size_t count;
        uint64_t rows; /* that they are of */
        bool is_last;
    } blocks[BLOCKS];
    size_t at; /* the block being filled */
    uint64_t rows, last;
    enum err err; /* of the reader; read after the last block */
};

static void pass_block(struct key_reader *reader, bool is_last)
{
    reader->blocks[reader->at].is_last = is_last;
    sem_post(&reader->filled);
    if (is_last) return;
    reader->at = (reader->at + 1) % BLOCKS;
    sem_wait(&reader->empty);
    reader->blocks[reader->at].count = 0;
    reader->blocks[reader->at].rows = 0;
}

static void read_key(struct key_reader *reader, const struct conversion *conversion,
                     enum dedup_layer layer, uint64_t sequence)
{
    if (!conversion_key_text(conversion, layer).ptr) return;
    struct key_block *block = &reader->blocks[reader->at];
    block->keys[block->count++] =
        (struct key_at){conversion_key(reader->store, conversion, layer), sequence, layer};
}

static enum err read_row(struct key_reader *reader, sqlite3_stmt *row)
{
    if (!db_is_whole(row, 7, SPAN("conversion")))
        return report_corrupt_row(SPAN("conversion"), sqlite3_column_int64(row, 0));
    uint64_t sequence = (uint64_t)sqlite3_column_int64(row, 0);
    if (sequence <= reader->last) return report_corrupt_row(SPAN("conversion"), (int64_t)sequence);
    reader->last = sequence;
    struct conversion conversion = {
        .sender.partner_id = db_column_text(row, 1),
        .click_id = db_column_text(row, 2),
        .event_type = db_column_text(row, 3),
        .idempotency_key = db_column_text(row, 4),
        .event_id = db_column_text(row, 5),
        .order_id = db_column_text(row, 6),
    };
    if (reader->blocks[reader->at].count + 2 > BLOCK_KEYS) pass_block(reader, false);
    read_key(reader, &conversion, DEDUP_EXPLICIT, sequence);
    read_key(reader, &conversion, DEDUP_ORDER, sequence);
    reader->rows++;
    reader->blocks[reader->at].rows++;
    return ERR_OK;
}

static void *read_keys(void *arg)
{
    struct key_reader *reader = arg;
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    sem_wait(&reader->empty);
    reader->err = db_prepare(reader->db, &row,
                             "SELECT seq, partner_id, click_id, event_type, idempotency_key,"
                             " event_id, order_id, * FROM conversion WHERE seq >= ? ORDER BY seq");
    if (!reader->err) {
        sqlite3_bind_int64(row, 1, (int64_t)reader->floor);
        while (!reader->err && (code = sqlite3_step(row)) == SQLITE_ROW)
            reader->err = read_row(reader, row);
        if (!reader->err && code != SQLITE_DONE) reader->err = db_last_err(reader->db);
    }
    sqlite3_finalize(row);
    pass_block(reader, true);
    return NULL;
}

/* An entry with this fingerprint is there already: a collision, or the same order id again. The
 * rows decide, as they do while serving. */
static enum err is_contested(struct sqlite_store *store, const struct key_at *at, bool *is_taken)
{
    struct conversion conversion;
    char text[CONVERSION_KEYS_TEXT_MAX];
    uint64_t holder = 0;
    enum err err = dedup_read_conversion(store, at->sequence, &conversion, text);
    if (!err) err = dedup_find_conversion(store, &conversion, at->layer, &at->key, &holder);
    *is_taken = holder != 0;
    return err;
}

static enum err add_key(struct sqlite_store *store, const struct key_at *at)
{
    struct index_cursor cursor;
    bool is_taken = false;
    if (index_first(&store->conversion_keys, &at->key, &cursor)) {
        enum err err = is_contested(store, at, &is_taken);
        if (err || is_taken) return err;
    }
    uint64_t value = INDEX_VALUE(at->sequence, at->layer);
    enum err err = undoable_add(store, &store->conversion_keys, &at->key, value);
    index_logs_note(store);
    return err;
}

static enum err add_block(struct sqlite_store *store, const struct key_block *block)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < block->count && !err; i++) {
        if (i + PREFETCH_DISTANCE < block->count)
            index_prefetch(&store->conversion_keys, &block->keys[i + PREFETCH_DISTANCE].key);
        err = add_key(store, &block->keys[i]);
    }
    rebuild_pass_rows(store, block->rows);
    return err;
}

/* Takes every block, also after an error, so that the reader never waits for ever. */
static enum err add_all(struct sqlite_store *store, struct key_reader *reader)
{
    enum err err = ERR_OK;
    bool is_last = false;
    for (size_t i = 0; !is_last; i = (i + 1) % BLOCKS) {
        sem_wait(&reader->filled);
        if (!err) err = add_block(store, &reader->blocks[i]);
        is_last = reader->blocks[i].is_last;
        sem_post(&reader->empty);
    }
    return err;
}

static enum err run_both(struct sqlite_store *store, struct key_reader *reader)
{
    pthread_t thread;
    sem_init(&reader->empty, 0, BLOCKS);
    sem_init(&reader->filled, 0, 0);
    enum err err = ERR_NO_MEMORY;
    if (pthread_create(&thread, NULL, read_keys, reader) == 0) {
        err = add_all(store, reader);
        pthread_join(thread, NULL);
        if (!err) err = reader->err;
    }
    sem_destroy(&reader->empty);
    sem_destroy(&reader->filled);
    return err;
}

enum err rebuild_conversion_keys(struct sqlite_store *store, const struct age_mark *mark)
{
    int64_t before = removed_or_below(store, TOTAL_CONVERSION, mark);
    uint64_t rows = (uint64_t)(store->totals.rows[TOTAL_CONVERSION] - before);
    if (!index_reserve(&store->conversion_keys, rows)) return ERR_NO_MEMORY;
    struct key_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return ERR_NO_MEMORY;
    reader->store = store;
    reader->floor = mark->sequence;
    enum err err = db_open_readonly(&reader->db, store->dir.db_path);
    if (!err) err = run_both(store, reader);
    if (!err) err = totals_expect(store, TOTAL_CONVERSION, before + (int64_t)reader->rows);
    sqlite3_close(reader->db);
    free(reader);
    return err;
}
