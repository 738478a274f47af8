#include "store/row_text.h"

#include "json/write.h"

#include <string.h>

const struct row_cell *text_row_cell(const struct text_row *row, const char *name)
{
    static const struct row_cell none = {.is_text = true};
    for (int i = 0; i < row->count; i++)
        if (span_eq(row->names[i], span_of(name))) return &row->cells[i];
    return &none;
}

static bool is_json(struct span column)
{
    static const struct span names[] = {SPAN_INIT("params"), SPAN_INIT("consent"),
                                        SPAN_INIT("reasons"), SPAN_INIT("device")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_eq(column, names[i])) return true;
    return false;
}

/* A header of HTTP may hold any byte: what is no UTF-8 is written as ISO 8859-1. */
static void write_text(struct writer *out, struct span text)
{
    static const char hex[] = "0123456789abcdef";
    if (json_utf8_valid(text)) {
        json_write_string(out, text);
        return;
    }
    writer_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            writer_char(out, (char)c);
        } else {
            writer_lit(out, "\\u00");
            writer_char(out, hex[c >> 4]);
            writer_char(out, hex[c & 15]);
        }
    }
    writer_char(out, '"');
}

static void write_json_column(struct writer *out, struct span name, const struct row_cell *cell)
{
    if (cell->is_text && !cell->text.ptr) return;
    json_write_comma(out);
    json_write_key(out, name);
    if (!cell->is_text)
        writer_i64(out, cell->number);
    else if (is_json(name))
        writer_put(out, cell->text);
    else
        write_text(out, cell->text);
}

void row_text_ndjson(struct writer *out, struct span table, struct span receipt,
                     const struct text_row *row)
{
    writer_char(out, '{');
    json_write_text_member(out, SPAN("table"), table);
    json_write_text_member(out, SPAN("receipt"), receipt);
    for (int i = 0; i < row->count; i++)
        write_json_column(out, row->names[i], &row->cells[i]);
    writer_lit(out, "}\n");
}

static bool needs_quotes(struct span text)
{
    if (text.len == 0) return true;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == ',' || text.ptr[i] == '"' || text.ptr[i] == '\r' || text.ptr[i] == '\n')
            return true;
    return false;
}

static void write_cell(struct writer *out, struct span text)
{
    if (!needs_quotes(text)) {
        writer_put(out, text);
        return;
    }
    writer_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"') writer_char(out, '"');
        writer_char(out, text.ptr[i]);
    }
    writer_char(out, '"');
}

void row_text_csv_head(struct writer *out, bool has_receipt, const struct text_row *row)
{
    if (has_receipt) writer_lit(out, "receipt");
    for (int i = 0; i < row->count; i++) {
        if (i > 0 || has_receipt) writer_char(out, ',');
        write_cell(out, row->names[i]);
    }
    writer_char(out, '\n');
}

void row_text_csv(struct writer *out, struct span receipt, const struct text_row *row)
{
    writer_put(out, receipt);
    for (int i = 0; i < row->count; i++) {
        if (i > 0 || receipt.ptr) writer_char(out, ',');
        if (!row->cells[i].is_text)
            writer_i64(out, row->cells[i].number);
        else if (row->cells[i].text.ptr)
            write_cell(out, row->cells[i].text);
    }
    writer_char(out, '\n');
}
