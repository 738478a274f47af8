#include "store/postgres/result.h"

#include <stdlib.h>
#include <string.h>

int pg_rows(const PGresult *result)
{
    return result ? PQntuples(result) : 0;
}

bool pg_is_null(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column);
}

int64_t pg_get_i64(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

struct span pg_get_text(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) return SPAN_NONE;
    return (struct span){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

void pg_get_cells(const PGresult *result, int row, int first, int count, struct row_cell cells[])
{
    enum { OID_BIGINT = 20 };
    for (int i = 0; i < count; i++) {
        int column = first + i;
        if (PQftype(result, column) == OID_BIGINT && !pg_is_null(result, row, column))
            cells[i] = (struct row_cell){.number = pg_get_i64(result, row, column)};
        else
            cells[i] = (struct row_cell){true, pg_get_text(result, row, column), 0};
    }
}

static int digit(char character)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = character ? strchr(digits, character) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool pg_get_bytes(const PGresult *result, int row, int column, void *bytes, size_t size)
{
    struct span text = pg_get_text(result, row, column);
    if (!text.ptr || text.len != 2 + 2 * size || !span_starts_with(text, SPAN("\\x"))) return false;
    uint8_t *out = bytes;
    for (size_t i = 0; i < size; i++) {
        int high = digit(text.ptr[2 + 2 * i]), low = digit(text.ptr[3 + 2 * i]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int64_t pg_changed(const PGresult *result)
{
    return result ? strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10) : 0;
}
