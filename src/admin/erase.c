#include "admin/command.h"
#include "base/clock.h"
#include "json/write.h"

/* erase: takes a person out of rows that `adtally erase` found. */

static bool read_table(struct admin_request *request, enum op_kind *table)
{
    struct span name;
    if (!admin_text(request, SPAN("table"), &name)) return false;
    for (size_t i = 0; i < EVENT_TABLES; i++) {
        if (!span_eq(name, event_table_name((enum op_kind)i))) continue;
        *table = (enum op_kind)i;
        return true;
    }
    return false;
}

static bool read_rows(struct admin_request *request, uint64_t rows[ERASE_ROWS_MAX], uint32_t *count)
{
    const struct json_token *tokens = request->doc.tokens;
    uint32_t list = json_member(&request->doc, 0, SPAN("rows"));
    *count = 0;
    if (!list || tokens[list].type != JSON_ARRAY) return false;
    for (uint32_t at = list + 1; at < tokens[list].end; at = tokens[at].end) {
        unsigned long long sequence;
        if (*count == ERASE_ROWS_MAX || tokens[at].type != JSON_NUMBER ||
            !span_to_u64(json_raw(&request->doc, at), INT64_MAX, &sequence))
            return false;
        rows[(*count)++] = sequence;
    }
    return true;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool admin_hex(struct span text, uint8_t *bytes, size_t size)
{
    if (!text.ptr || text.len != 2 * size) return false;
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text.ptr[2 * i]), low = digit_of(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void admin_erase(struct admin_request *request, struct writer *answer)
{
    uint64_t rows[ERASE_ROWS_MAX];
    uint8_t key[ERASE_KEY_SIZE];
    struct span hex;
    struct op op = {.kind = OP_ERASE, .received_at_ms = clock_wall_ms()};
    op.erase.rows = rows;
    op.erase.key = key;
    uint32_t last = json_member(&request->doc, 0, SPAN("last"));
    op.erase.is_last = last && request->doc.tokens[last].type == JSON_TRUE;
    if (!read_table(request, &op.erase.table) || !read_rows(request, rows, &op.erase.rows_count) ||
        !admin_text(request, SPAN("key"), &hex) || !admin_hex(hex, key, sizeof key)) {
        admin_fail(answer, "what to erase cannot be read: use the adtally of the server's version");
        return;
    }
    ledger_call(request->admin->ledger, &op);
    if (op.outcome != OUTCOME_RECORDED) {
        admin_fail_unavailable(answer);
        return;
    }
    writer_lit(answer, "{\"ok\":true");
    json_write_number_member(answer, SPAN("erased"), op.erase.erased_count);
    writer_char(answer, '}');
}
