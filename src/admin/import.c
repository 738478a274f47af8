#include "admin/import.h"

#include "base/clock.h"

#include <stdlib.h>

/* import: rows from elsewhere, through the ledger like everything else. */

struct importing {
    struct import_row *rows;
    struct op *ops[IMPORT_ROWS_MAX];
    size_t count;
    void *scratch;
};

static bool read_rows(struct importing *importing, struct admin_request *request, char *problem)
{
    const struct json_token *tokens = request->doc.tokens;
    uint32_t list = json_member(&request->doc, 0, SPAN("rows"));
    if (!list || tokens[list].type != JSON_ARRAY) return false;
    for (uint32_t at = list + 1; at < tokens[list].end; at = tokens[at].end) {
        if (importing->count == IMPORT_ROWS_MAX) return false;
        struct import_row *row = &importing->rows[importing->count];
        if (!import_read(row, request, at, problem)) return false;
        importing->ops[importing->count++] = &row->op;
    }
    return true;
}

/* When it is now, and how a key's secret is stored here. */
static void finish_rows(struct importing *importing, struct admin *admin)
{
    int64_t now_ms = clock_wall_ms();
    const uint8_t *pepper = keyring_pepper(ledger_keyring(admin->ledger));
    for (size_t i = 0; i < importing->count; i++) {
        struct import_row *row = &importing->rows[i];
        row->op.received_at_ms = now_ms;
        if (row->table != IMPORT_API_KEY) continue;
        row->op.key.created_at_ms = now_ms;
        if (row->secret.ptr)
            hash_secret(row->op.key.hash, pepper, row->secret);
        else
            hash_secret_digest(row->op.key.hash, pepper, row->digest);
    }
}

static enum import_outcome outcome_of(const struct import_row *row)
{
    switch (row->op.outcome) {
    case OUTCOME_RECORDED:
        return IMPORT_RECORDED;
    case OUTCOME_DUPLICATE:
        return IMPORT_DUPLICATE;
    case OUTCOME_NOT_FOUND:
        return row->table == IMPORT_CONVERSION ? IMPORT_NO_CLICK
               : row->table == IMPORT_VOTE     ? IMPORT_NO_POLL
                                               : IMPORT_PASSED;
    case OUTCOME_MISSING_BID:
        return IMPORT_NO_BID;
    case OUTCOME_LIMITED:
        return IMPORT_LIMITED;
    case OUTCOME_CONFLICT:
        return row->table == IMPORT_API_KEY ? IMPORT_DUPLICATE : IMPORT_CONFLICT;
    case OUTCOME_BAD_OPTION:
        return IMPORT_NO_POLL;
    default:
        return IMPORT_UNAVAILABLE;
    }
}

static void import_rows(struct importing *importing, struct admin_request *request,
                        struct writer *answer)
{
    char problem[IMPORT_PROBLEM_MAX] = "the rows cannot be read";
    arena_init(&request->arena, importing->scratch,
               request->doc.text.len + IMPORT_ROWS_MAX * IMPORT_TEXTS_MAX * 16);
    if (!read_rows(importing, request, problem)) {
        admin_fail(answer, problem);
        return;
    }
    finish_rows(importing, request->admin);
    ledger_call_all(request->admin->ledger, importing->ops, importing->count);
    writer_lit(answer, "{\"ok\":true,\"outcomes\":\"");
    for (size_t i = 0; i < importing->count; i++)
        writer_char(answer, (char)outcome_of(&importing->rows[i]));
    writer_lit(answer, "\"}");
}

void admin_import(struct admin_request *request, struct writer *answer)
{
    size_t scratch_size = request->doc.text.len + IMPORT_ROWS_MAX * IMPORT_TEXTS_MAX * 16;
    struct importing importing = {
        .rows = calloc(IMPORT_ROWS_MAX, sizeof(struct import_row)),
        .scratch = malloc(scratch_size),
    };
    if (importing.rows && importing.scratch)
        import_rows(&importing, request, answer);
    else
        admin_fail(answer, "there is not enough memory for this command");
    if (importing.rows) hash_wipe(importing.rows, IMPORT_ROWS_MAX * sizeof *importing.rows);
    if (importing.scratch) hash_wipe(importing.scratch, scratch_size); /* may hold secrets */
    free(importing.rows);
    free(importing.scratch);
}
