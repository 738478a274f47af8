#include "admin/report_write.h"

#include "json/json.h"
#include "json/write.h"

#include <stdlib.h>

enum { ESCAPED_MAX = 6, CELL_BESIDE = 128 };

struct sheet {
    const struct report_table *table;
    const struct report_column *columns;
    size_t columns_count, rows_count;
    size_t widths[REPORT_COLUMNS_MAX]; /* characters */
    struct writer row;
};

static bool is_text(const struct sheet *sheet, size_t column)
{
    return sheet->columns[column].type == REPORT_TEXT;
}

/* Room for the longest row in any format: a padded cell is at most as wide as the longest. */
static size_t row_size(const struct sheet *sheet)
{
    size_t size = CELL_BESIDE;
    for (size_t column = 0; column < sheet->columns_count; column++) {
        size_t longest = 0;
        for (size_t row = 0; row < sheet->rows_count; row++) {
            size_t len = report_cell(sheet->table, row, column).len;
            if (len > longest) longest = len;
        }
        size += longest * ESCAPED_MAX + CELL_BESIDE;
    }
    return size;
}

static void write_json_cell(struct sheet *sheet, size_t column, struct span cell)
{
    struct writer *out = &sheet->row;
    json_write_comma(out);
    json_write_key(out, sheet->columns[column].name);
    if (!cell.ptr)
        writer_lit(out, "null");
    else if (sheet->columns[column].type == REPORT_NUMBER)
        writer_put(out, cell);
    else
        json_write_string(out, cell);
}

static void write_json_row(struct sheet *sheet, size_t row)
{
    writer_put(&sheet->row, row ? SPAN(",\n{") : SPAN("\n{"));
    for (size_t column = 0; column < sheet->columns_count; column++)
        write_json_cell(sheet, column, report_cell(sheet->table, row, column));
    writer_char(&sheet->row, '}');
}

/* A formula to a spreadsheet, wherever the name came from. */
static bool is_formula(struct span cell)
{
    static const char first[] = "=+-@\t\r";
    for (size_t i = 0; cell.len && i < sizeof first - 1; i++)
        if (cell.ptr[0] == first[i]) return true;
    return false;
}

static bool needs_quotes(struct span cell)
{
    for (size_t i = 0; i < cell.len; i++)
        if (cell.ptr[i] == '"' || cell.ptr[i] == ',' || cell.ptr[i] == '\r' || cell.ptr[i] == '\n')
            return true;
    return false;
}

static void write_csv_cell(struct sheet *sheet, size_t column, struct span cell)
{
    struct writer *out = &sheet->row;
    bool quoted = needs_quotes(cell);
    if (column) writer_char(out, ',');
    if (quoted) writer_char(out, '"');
    if (is_text(sheet, column) && is_formula(cell)) writer_char(out, '\'');
    for (size_t i = 0; i < cell.len; i++) {
        if (cell.ptr[i] == '"') writer_char(out, '"');
        writer_char(out, cell.ptr[i]);
    }
    if (quoted) writer_char(out, '"');
}

static void write_csv_row(struct sheet *sheet, size_t row)
{
    for (size_t column = 0; column < sheet->columns_count; column++)
        write_csv_cell(sheet, column, report_cell(sheet->table, row, column));
    writer_lit(&sheet->row, "\r\n");
}

static void write_csv_head(struct sheet *sheet)
{
    for (size_t column = 0; column < sheet->columns_count; column++)
        write_csv_cell(sheet, column, sheet->columns[column].name);
    writer_lit(&sheet->row, "\r\n");
}

static struct span shown(const struct sheet *sheet, size_t column, struct span cell)
{
    if (!cell.ptr) return SPAN("-");
    return cell.len || !is_text(sheet, column) ? cell : SPAN("(none)");
}

/* Control characters would speak to the terminal: U+0000 to U+001F, U+007F to U+009F. */
static void write_shown(struct writer *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        writer_char(out, c < ' ' || c == 0x7f || is_c1 ? '?' : (char)c);
        i += is_c1;
    }
}

static void write_padding(struct writer *out, size_t count)
{
    while (count-- > 0)
        writer_char(out, ' ');
}

/* Texts begin at the left, numbers end at the right. */
static void write_text_cell(struct sheet *sheet, size_t column, struct span cell, bool is_last)
{
    struct writer *out = &sheet->row;
    size_t missing = sheet->widths[column] - json_characters(cell);
    if (column) writer_lit(out, "  ");
    if (!is_text(sheet, column)) write_padding(out, missing);
    write_shown(out, cell);
    if (is_text(sheet, column) && !is_last) write_padding(out, missing);
}

static void write_text_row(struct sheet *sheet, size_t row)
{
    for (size_t column = 0; column < sheet->columns_count; column++)
        write_text_cell(sheet, column, shown(sheet, column, report_cell(sheet->table, row, column)),
                        column + 1 == sheet->columns_count);
    writer_char(&sheet->row, '\n');
}

static void write_text_head(struct sheet *sheet)
{
    for (size_t column = 0; column < sheet->columns_count; column++) {
        size_t *width = &sheet->widths[column];
        *width = sheet->columns[column].name.len;
        for (size_t row = 0; row < sheet->rows_count; row++) {
            size_t len =
                json_characters(shown(sheet, column, report_cell(sheet->table, row, column)));
            if (len > *width) *width = len;
        }
    }
    for (size_t column = 0; column < sheet->columns_count; column++)
        write_text_cell(sheet, column, sheet->columns[column].name,
                        column + 1 == sheet->columns_count);
    writer_char(&sheet->row, '\n');
}

static void write_head(struct sheet *sheet, enum report_format format)
{
    if (format == REPORT_FORMAT_JSON)
        writer_lit(&sheet->row, "{\"rows\":[");
    else if (format == REPORT_FORMAT_CSV)
        write_csv_head(sheet);
    else
        write_text_head(sheet);
}

static void write_row(struct sheet *sheet, enum report_format format, size_t row)
{
    if (format == REPORT_FORMAT_JSON)
        write_json_row(sheet, row);
    else if (format == REPORT_FORMAT_CSV)
        write_csv_row(sheet, row);
    else
        write_text_row(sheet, row);
}

static bool flush(struct sheet *sheet, report_on_text *on_text, void *arg)
{
    bool taken = on_text(arg, writer_text(&sheet->row));
    sheet->row.len = 0;
    return taken;
}

enum err report_write(const struct report_table *table, enum report_format format,
                      report_on_text *on_text, void *arg)
{
    struct sheet sheet = {.table = table, .rows_count = report_rows(table)};
    sheet.columns_count = report_columns(table, &sheet.columns);
    size_t size = row_size(&sheet);
    char *memory = malloc(size);
    if (!memory) return ERR_NO_MEMORY;
    writer_init(&sheet.row, memory, size);
    write_head(&sheet, format);
    bool taken = flush(&sheet, on_text, arg);
    for (size_t row = 0; row < sheet.rows_count && taken; row++) {
        write_row(&sheet, format, row);
        taken = flush(&sheet, on_text, arg);
    }
    if (taken && format == REPORT_FORMAT_JSON) taken = on_text(arg, SPAN("\n]}\n"));
    free(memory);
    return taken ? ERR_OK : ERR_IO;
}
