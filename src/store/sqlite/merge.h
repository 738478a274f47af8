#pragma once

#include "store/row_text.h"
#include "store/sqlite/db.h"
#include "store/store.h"
#include "token/receipt.h"

/* The tables of events as one, merged by sequence, beside the one writer, which commits sequences
 * in their order: what stands below the last one is complete. */

struct merge {
    sqlite3 *db;
    uint8_t receipt_key[RECEIPT_KEY_SIZE];
    struct merge_table {
        enum op_kind kind;
        struct span name;
        sqlite3_stmt *rows;
        bool has_row;
    } tables[EVENT_TABLES];
    size_t tables_count;
    char *problem; /* STORE_PROBLEM_MAX */
};

/* The database and the secrets of a data directory; no tables yet. To be closed in any case. */
enum err merge_open(struct merge *merge, const char *dir, char *problem);
void merge_close(struct merge *merge);

/* A table of events. */
enum err merge_add(struct merge *merge, enum op_kind kind);

/* Its next row, if it has one. */
enum err merge_step(struct merge *merge, struct merge_table *table);

/* Its row, as long as it is the table's; names are there before the first one is. */
void merge_take(const struct merge_table *table, struct text_row *out);

/* False: the row is damaged, and `problem` says so. */
bool merge_is_whole(struct merge *merge, const struct merge_table *table);

/* The last sequence there is. */
enum err merge_last(struct merge *merge, int64_t *out);

/* Every row of the tables behind `after` and up to `to`, in one transaction; anything but ERR_OK
 * of `on_row` ends it. */
typedef enum err merge_on_row(void *arg, const struct merge_table *table);
enum err merge_read(struct merge *merge, int64_t after, int64_t to, merge_on_row *on_row,
                    void *arg);
