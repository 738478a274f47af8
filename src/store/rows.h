#pragma once

#include "base/err.h"
#include "store/row_text.h"
#include "token/receipt.h"

/* The rows of a data set, of whichever engine, beside who writes: events merged by sequence, as far
 * as they are final, and tables of what is configured. A row is whole, and the reader's again
 * afterwards; anything but ERR_OK of who takes it ends the reading. */

typedef enum err rows_on_event(void *arg, enum op_kind kind, const struct text_row *row,
                               int64_t checksum);
typedef enum err rows_on_row(void *arg, const struct text_row *row);

struct rows {
    const struct rows_engine *engine;
    uint8_t receipt_key[RECEIPT_KEY_SIZE];
    bool is_ahead; /* receipts are told before their sequences are final */
};

/* What goes wrong is said in the `problem` of who opened it. */
struct rows_engine {
    enum err (*ask_for)(struct rows *rows, enum op_kind kind); /* its events are read, too */
    enum err (*last)(struct rows *rows, uint64_t *last);       /* the last final sequence */
    /* The next events behind *after and up to `to`, a bounded number of them, in one transaction;
     * *after moves to where the next call goes on. */
    enum err (*read)(struct rows *rows, uint64_t *after, uint64_t to, rows_on_event *on_event,
                     void *arg);
    /* All of a table that has no sequences; what is bytes stands as it is. */
    enum err (*read_table)(struct rows *rows, struct span table, rows_on_row *on_row, void *arg);
    /* One row of a table's names; on_row sees no cells of it. */
    enum err (*read_names)(struct rows *rows, struct span table, rows_on_row *on_row, void *arg);
    void (*close)(struct rows *rows);
};

/* `problem`: STORE_PROBLEM_MAX, filled in on failures that can say more than their enum err. On
 * failure there is nothing to close. */
enum err sqlite_rows_open(struct rows **out, const char *dir, char *problem);
enum err pg_rows_open(struct rows **out, const char *url, char *problem);
