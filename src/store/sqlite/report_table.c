#include "store/sqlite/report_sums.h"

#include <stdlib.h>
#include <string.h>

/* Texts one behind the other in one buffer that grows; cells point by offset. */

enum { NONE = -1, CELLS_FIRST = 256, TEXT_FIRST = 4096, NUMBER_MAX = 64 };

struct cell {
    int64_t at; /* NONE: absent */
    size_t len;
};

struct report_table {
    struct report_column columns[REPORT_COLUMNS_MAX];
    size_t columns_count;
    struct cell *cells;
    size_t cells_count, cells_cap;
    char *text;
    size_t text_len, text_cap;
    enum err err;
};

struct report_table *report_table_new(void)
{
    return calloc(1, sizeof(struct report_table));
}

void report_table_free(struct report_table *table)
{
    if (!table) return;
    free(table->cells);
    free(table->text);
    free(table);
}

void report_add_column(struct report_table *table, struct span name, enum report_column_type type)
{
    table->columns[table->columns_count++] = (struct report_column){name, type};
}

void report_add_cell(struct report_table *table, struct span text)
{
    if (table->err) return;
    if (report_rows(table) >= REPORT_ROWS_MAX) {
        table->err = ERR_FULL;
        return;
    }
    if (!report_grow((void **)&table->cells, &table->cells_cap, table->cells_count + 1, CELLS_FIRST,
                     sizeof *table->cells) ||
        !report_grow((void **)&table->text, &table->text_cap, table->text_len + text.len,
                     TEXT_FIRST, 1)) {
        table->err = ERR_NO_MEMORY;
        return;
    }
    int64_t at = text.ptr ? (int64_t)table->text_len : NONE;
    table->cells[table->cells_count++] = (struct cell){at, text.len};
    if (text.ptr && text.len) memcpy(table->text + table->text_len, text.ptr, text.len);
    table->text_len += text.len;
}

void report_add_number(struct report_table *table, int64_t number)
{
    char memory[NUMBER_MAX];
    struct writer text;
    writer_init(&text, memory, sizeof memory);
    writer_i64(&text, number);
    report_add_cell(table, writer_text(&text));
}

void report_add_amount(struct report_table *table, report_amount value, int digits)
{
    char memory[NUMBER_MAX];
    struct writer text;
    writer_init(&text, memory, sizeof memory);
    report_amount_write(&text, value, digits);
    report_add_cell(table, writer_text(&text));
}

void report_add_ratio(struct report_table *table, report_amount dividend, report_amount divisor)
{
    char memory[NUMBER_MAX];
    struct writer text;
    writer_init(&text, memory, sizeof memory);
    if (divisor > 0) report_ratio_write(&text, dividend, divisor);
    report_add_cell(table, divisor > 0 ? writer_text(&text) : SPAN_NONE);
}

enum err report_table_err(const struct report_table *table)
{
    return table->err;
}

size_t report_columns(const struct report_table *table, const struct report_column **columns)
{
    *columns = table->columns;
    return table->columns_count;
}

size_t report_rows(const struct report_table *table)
{
    return table->columns_count ? table->cells_count / table->columns_count : 0;
}

struct span report_cell(const struct report_table *table, size_t row, size_t column)
{
    const struct cell *cell = &table->cells[row * table->columns_count + column];
    return cell->at == NONE ? SPAN_NONE : (struct span){table->text + cell->at, cell->len};
}
