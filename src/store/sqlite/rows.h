#pragma once

#include "store/rows.h"
#include "store/sqlite/merge.h"

struct sqlite_rows {
    struct rows rows; /* first: what readers hold */
    struct merge merge;
    rows_on_event *on_event; /* of the reading under way */
    void *arg;
};

static inline struct sqlite_rows *sqlite_rows_of(struct rows *rows)
{
    return (struct sqlite_rows *)(void *)rows;
}
