#include "cli/output.h"

#include "cli/say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 16 };

static bool flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return true;
    say("cannot write to standard output: %s", strerror(errno));
    return false;
}

bool output_line(struct span text)
{
    fwrite(text.ptr, 1, text.len, stdout);
    fputc('\n', stdout);
    return flush();
}

static struct span cell_text(struct reply *reply, uint32_t object, struct span member)
{
    uint32_t token = json_member(&reply->doc, object, member);
    if (!token) return SPAN("");
    struct span text = json_string(&reply->doc, token, &reply->arena);
    return text.ptr ? text : json_raw(&reply->doc, token);
}

static void print_cell(struct span text, size_t width, bool is_last)
{
    size_t len = json_characters(text);
    fwrite(text.ptr, 1, text.len, stdout);
    for (; !is_last && len < width + 2; len++)
        fputc(' ', stdout);
}

struct table {
    struct reply *reply;
    uint32_t array;
    const struct column *columns;
    size_t count;
    size_t widths[COLUMNS_MAX]; /* characters; 0: no row has it */
    size_t last;
};

/* Unescaped texts are made anew each time a cell is looked at, so the arena starts over. */
static void measure(struct table *table)
{
    const struct json_doc *doc = &table->reply->doc;
    for (uint32_t row = table->array + 1; row < doc->tokens[table->array].end;
         row = doc->tokens[row].end)
        for (size_t i = 0; i < table->count; i++) {
            arena_reset(&table->reply->arena);
            size_t len = json_characters(cell_text(table->reply, row, table->columns[i].member));
            if (len > table->widths[i]) table->widths[i] = len;
        }
    for (size_t i = 0; i < table->count; i++) {
        size_t heading_len = table->columns[i].heading.len;
        if (table->widths[i]) table->last = i;
        if (table->widths[i] && table->widths[i] < heading_len) table->widths[i] = heading_len;
    }
}

static void print_row(struct table *table, uint32_t row)
{
    for (size_t i = 0; i <= table->last; i++) {
        if (!table->widths[i]) continue;
        arena_reset(&table->reply->arena);
        struct span text = row ? cell_text(table->reply, row, table->columns[i].member)
                               : table->columns[i].heading;
        print_cell(text, table->widths[i], i == table->last);
    }
    fputc('\n', stdout);
}

bool output_table(struct reply *reply, struct span array, const struct column *columns,
                  size_t columns_count)
{
    const struct json_doc *doc = &reply->doc;
    struct table table = {reply, json_member(doc, 0, array), columns, columns_count, {0}, 0};
    if (!table.array || doc->tokens[table.array].end == table.array + 1) return true;
    measure(&table);
    print_row(&table, 0);
    for (uint32_t row = table.array + 1; row < doc->tokens[table.array].end;
         row = doc->tokens[row].end)
        print_row(&table, row);
    return flush();
}
