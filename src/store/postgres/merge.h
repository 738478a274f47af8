#pragma once

#include "store/postgres/connection.h"
#include "store/row_text.h"
#include "store/store.h"
#include "token/receipt.h"

/* The tables of events as one, merged by sequence, beside servers that write: up to the watermark
 * everything is final. */

struct pg_merge {
    struct pg_connection connection;
    struct pg_params params;
    uint8_t receipt_key[RECEIPT_KEY_SIZE];
    bool is_asked[EVENT_TABLES];
    char *problem; /* STORE_PROBLEM_MAX */
};

struct pg_merge_row {
    enum op_kind kind;
    const PGresult *result;
    int at;
    int columns; /* of the table */
};

enum err pg_merge_open(struct pg_merge *merge, const char *url, char *problem);
void pg_merge_close(struct pg_merge *merge);

/* The last final sequence. */
enum err pg_merge_last(struct pg_merge *merge, uint64_t *last);

/* The next rows behind *after and up to `to`, a bounded number of them, which are final; *after
 * moves to where the next call goes on. Anything but ERR_OK of `on_row` ends it. */
typedef enum err pg_merge_on_row(void *arg, const struct pg_merge_row *row);
enum err pg_merge_read(struct pg_merge *merge, uint64_t *after, uint64_t to,
                       pg_merge_on_row *on_row, void *arg);

/* What is told of the last failure; who reads without a merge. */
enum err pg_read_problem(const struct pg_connection *connection, enum pg_failure failure,
                         char problem[STORE_PROBLEM_MAX]);
enum err pg_merge_fail(struct pg_merge *merge, enum pg_failure failure);

/* All columns but the checksum; texts stay the result's. */
void pg_take_row(const PGresult *result, int row, int columns, struct text_row *out);

/* Goes on with the checksum of a row. */
uint64_t pg_checksum_column(uint64_t checksum, const PGresult *result, int row, int column);

/* Whether a row of a table of events fits its checksum, the last of its `columns`. */
bool pg_row_is_whole(enum op_kind kind, const PGresult *result, int row, int columns);
