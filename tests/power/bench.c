#include "bench.h"

#include "complain.h"
#include "sim_disk.h"
#include "store/sqlite/db.h"
#include "store/sqlite/sqlite.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

void bench_init(struct bench *bench, int checkpoint_pages, enum weakness weakness)
{
    memset(bench, 0, sizeof *bench);
    store_options_init(&bench->options);
    bench->options.dir = BENCH_DIR;
    bench->options.create = true;
    bench->options.checkpoint_pages = checkpoint_pages;
    bench->options.index_log_events = 8;
    bench->options.index_load_changes = 8;
    bench->weakness = weakness;
}

static int on_commit(void *arg)
{
    ((struct bench *)arg)->is_committing = true;
    return 0;
}

static void weaken(struct bench *bench)
{
    sqlite3 *db = sqlite_of(bench->store)->db;
    if (bench->weakness == WEAK_NORMAL) db_exec(db, "PRAGMA synchronous = NORMAL");
    if (bench->weakness == WEAK_EARLY) sqlite3_commit_hook(db, on_commit, bench);
}

enum err bench_open(struct bench *bench)
{
    char problem[STORE_PROBLEM_MAX] = "";
    if (bench->weakness == WEAK_NAMES) sim_disk_ignore_syncs(SIM_SYNC_DIRECTORIES);
    if (bench->weakness == WEAK_START)
        sim_disk_ignore_syncs(bench->oracle.secrets_known ? SIM_SYNC_FILES : 0);
    enum err err = store_open(&bench->store, &bench->options, problem);
    if (bench->weakness == WEAK_START) sim_disk_ignore_syncs(0);
    if (err) bench->store = NULL;
    if (!err && sim_disk_is_down()) {
        bench_close(bench);
        err = ERR_IO;
    }
    if (!err && !bench->oracle.secrets_known)
        oracle_check_secrets(&bench->oracle, store_secrets(bench->store));
    if (!err) weaken(bench);
    if (err && !sim_disk_is_down() && !bench->may_fail) complain("cannot open: %.400s", problem);
    return err;
}

void bench_close(struct bench *bench)
{
    if (bench->store) store_close(bench->store);
    bench->store = NULL;
}

/* -- what stands --------------------------------------------------------------------------- */

static struct seen_row seen[ORACLE_EVENTS_MAX];

static int number_of(struct span text)
{
    int number = 0;
    if (text.len < 2 || text.len > 8 || text.ptr[0] != 'n') return PLAN_NONE;
    for (size_t i = 1; i < text.len; i++)
        number = number * 10 + (text.ptr[i] - '0');
    return number;
}

static enum err read_rows(sqlite3 *db, size_t *count)
{
    static const char sql[] = "SELECT seq, 0, user_id, user_agent FROM click"
                              " UNION ALL SELECT seq, 1, session_id, params FROM conversion"
                              " UNION ALL SELECT seq, 2, session_id, params FROM server_event"
                              " UNION ALL SELECT seq, 3, user_id, user_agent FROM impression"
                              " UNION ALL SELECT seq, 4, feedback_text, NULL FROM feedback"
                              " UNION ALL SELECT seq, 5, user_id, device FROM ad_feedback"
                              " UNION ALL SELECT seq, 6, user_id, placement FROM vote ORDER BY 1";
    char payload[PLAN_PAYLOAD_MAX];
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(db, &row, sql);
    int code = SQLITE_DONE;
    *count = 0;
    while (!err && *count < ORACLE_EVENTS_MAX && (code = sqlite3_step(row)) == SQLITE_ROW) {
        struct span content = db_column_text(row, 3);
        int number = number_of(db_column_text(row, 2));
        seen[(*count)++] = (struct seen_row){
            .kind = (enum op_kind)sqlite3_column_int(row, 1),
            .sequence = (uint64_t)sqlite3_column_int64(row, 0),
            .number = number,
            .is_whole = !content.ptr || number == PLAN_NONE ||
                        span_eq(content, plan_payload(number, payload)),
        };
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    return err;
}

static enum err read_removals(sqlite3 *db, struct removals *removals)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    memset(removals, 0, sizeof *removals);
    enum err err = db_prepare(db, &row, "SELECT name, rows, below_seq FROM removed");
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        int kind = 0;
        while (kind < EVENT_TABLES &&
               !span_eq(event_table_name((enum op_kind)kind), db_column_text(row, 0)))
            kind++;
        if (kind == EVENT_TABLES) err = ERR_CORRUPT;
        if (err) break;
        removals->rows[kind] = (uint64_t)sqlite3_column_int64(row, 1);
        removals->below[kind] = (uint64_t)sqlite3_column_int64(row, 2);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    return err;
}

static void on_poll(const struct poll *poll, void *arg)
{
    struct texts *texts = arg;
    int at = (int)poll->id - 1;
    texts->polls[at].exists = true;
    texts->polls[at].is_withdrawn = poll->withdrawn_at_ms != 0;
    texts->polls[at].options = (int)poll->options_count;
    texts->polls[at].text = number_of(poll->question);
}

static void on_key(const struct api_key *key, void *arg)
{
    struct texts *texts = arg;
    char id[APIKEY_ID_LEN];
    uint8_t hash[HASH_SIZE];
    for (int i = 0; i < PLAN_KEYS; i++) {
        plan_api_key(i, id, hash);
        if (!span_eq(key->id, (struct span){id, sizeof id})) continue;
        texts->keys[i].exists = memcmp(key->hash, hash, sizeof hash) == 0;
        texts->keys[i].is_revoked = key->revoked_at_ms != 0;
    }
}

static enum err read_all(struct bench *bench, size_t *count, struct texts *texts,
                         struct removals *removals)
{
    sqlite3 *db = NULL;
    memset(texts, 0, sizeof *texts);
    enum err err = db_open_readonly(&db, BENCH_DIR "/adtally.db");
    if (!err) err = read_rows(db, count);
    if (!err) err = read_removals(db, removals);
    sqlite3_close(db);
    if (!err) err = store_each_poll(bench->store, on_poll, texts);
    if (!err) err = store_each_key(bench->store, on_key, texts);
    return err;
}

static bool check_next_sequence(struct bench *bench)
{
    struct store_stats stats;
    store_stats(bench->store, &stats);
    uint64_t next = oracle_next_sequence(&bench->oracle);
    if (stats.sequence_next == next) return true;
    findings.other++;
    return complain("the next sequence is %llu, not %llu", (unsigned long long)stats.sequence_next,
                    (unsigned long long)next);
}

bool bench_check(struct bench *bench)
{
    struct texts texts;
    struct removals removals;
    size_t count;
    if (has_complaint()) return false;
    if (read_all(bench, &count, &texts, &removals)) return complain("what stands cannot be read");
    return oracle_check_rows(&bench->oracle, seen, count, &texts, &removals) &&
           oracle_check_secrets(&bench->oracle, store_secrets(bench->store)) &&
           check_next_sequence(bench);
}

bool bench_verify(struct bench *bench)
{
    char memory[1024];
    struct writer report;
    uint64_t count = 0;
    writer_init(&report, memory, sizeof memory);
    enum err err = store_verify(BENCH_DIR, &report, &count);
    if (!err && count == 0) return true;
    findings.other++;
    return complain("verify: %s %.*s", err_text(err), SPAN_FMT(writer_text(&report)));
}

/* -- batches ------------------------------------------------------------------------------- */

void bench_ask(struct bench *bench, int event)
{
    if (bench->count == PLAN_BATCH_MAX) abort();
    plan_request(&bench->requests[bench->count++], bench->oracle.events, event, world_now_ms());
}

static bool has_votes(const struct op *op, const struct foretold *foretold)
{
    if (!foretold->has_votes) return true;
    for (int i = 0; i < PLAN_POLL_OPTIONS; i++)
        if (op->vote.results.votes[i] != foretold->votes[i]) return false;
    return true;
}

static bool check_answer(const struct op *op, const struct foretold *foretold)
{
    if (foretold->outcome == OUTCOME_PENDING) return true;
    if (op->outcome == foretold->outcome && op->sequence == foretold->sequence &&
        has_votes(op, foretold))
        return true;
    findings.other++;
    return complain("op of kind %d: outcome %d of %llu, foretold %d of %llu", (int)op->kind,
                    (int)op->outcome, (unsigned long long)op->sequence, (int)foretold->outcome,
                    (unsigned long long)foretold->sequence);
}

static bool check_refusal(const struct op *op)
{
    return op->outcome == OUTCOME_UNAVAILABLE && op->sequence == 0
               ? true
               : complain("a failed batch gave an op of kind %d an outcome", (int)op->kind);
}

static void settle_failure(struct bench *bench, enum err err)
{
    if (bench->weakness == WEAK_EARLY && bench->is_committing) {
        oracle_acknowledged(&bench->oracle);
        return;
    }
    oracle_given_up(&bench->oracle);
    for (size_t i = 0; i < bench->count && err && err != ERR_SYNC_FAILED; i++)
        check_refusal(&bench->requests[i].op);
    if (!sim_disk_is_down() && err != ERR_SYNC_FAILED)
        oracle_check_token_keys(&bench->oracle, store_secrets(bench->store));
}

/* Rows that retention removed are those that it counted, in the ops and in the table. */
static bool check_removed(struct bench *bench)
{
    struct removals removals, before = bench->oracle.removals;
    uint64_t said = 0, found = 0;
    for (size_t i = 0; i < bench->count; i++)
        if (bench->requests[i].op.kind == OP_RETAIN)
            said += bench->requests[i].op.retain.removed_count;
    if (said == 0) return true;
    if (read_removals(sqlite_of(bench->store)->db, &removals))
        return bench->may_fail ? true : complain("what was removed cannot be read");
    for (int i = 0; i < EVENT_TABLES; i++)
        found += removals.rows[i] - before.rows[i];
    bench->removed += found;
    if (said != found) return complain("retention removed other rows than it said");
    return oracle_check_removals(&bench->oracle, &removals);
}

static void settle_success(struct bench *bench)
{
    oracle_acknowledged(&bench->oracle);
    check_removed(bench);
    if (bench->may_fail) oracle_check_token_keys(&bench->oracle, store_secrets(bench->store));
    for (size_t i = 0; i < bench->count; i++)
        check_answer(&bench->requests[i].op, &bench->foretold[i]);
    bench->acknowledged += bench->count;
}

/* The youngest click goes too, and is counted. */
static void remove_one_more(struct bench *bench)
{
    sqlite3 *db = sqlite_of(bench->store)->db;
    for (size_t i = 0; i < bench->count; i++) {
        struct op *op = &bench->requests[i].op;
        if (op->kind != OP_RETAIN || db_exec(db, "DELETE FROM click WHERE seq ="
                                                 " (SELECT max(seq) FROM click)"))
            continue;
        if (sqlite3_changes(db) == 0) continue;
        op->retain.removed_count++;
        db_exec(db, "UPDATE removed SET rows = rows + 1, below_seq = 1 << 40"
                    " WHERE name = 'click'");
    }
}

static size_t leave_out_erasures(struct op **ops, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        if (ops[i]->kind != OP_ERASE) ops[left++] = ops[i];
    return left;
}

static void claim_erasures(struct bench *bench, enum outcome outcome)
{
    for (size_t i = 0; i < bench->count; i++)
        if (bench->requests[i].op.kind == OP_ERASE) bench->requests[i].op.outcome = outcome;
}

enum err bench_apply(struct bench *bench)
{
    struct op *ops[PLAN_BATCH_MAX];
    size_t count = bench->count;
    bench->is_committing = false;
    oracle_begin(&bench->oracle, bench->may_fail);
    for (size_t i = 0; i < count; i++) {
        ops[i] = &bench->requests[i].op;
        oracle_foretell(&bench->oracle, &bench->requests[i], &bench->foretold[i]);
    }
    if (bench->weakness == WEAK_ERASE) count = leave_out_erasures(ops, count);
    enum err err = store_apply(bench->store, ops, count);
    if (bench->weakness == WEAK_ERASE)
        claim_erasures(bench, err ? OUTCOME_UNAVAILABLE : OUTCOME_RECORDED);
    if (!err && bench->weakness == WEAK_RETAIN) remove_one_more(bench);
    if (err || sim_disk_is_down())
        settle_failure(bench, err);
    else
        settle_success(bench);
    bench->batches++;
    bench->ops += bench->count;
    bench->count = 0;
    if (err && !sim_disk_is_down() && !bench->may_fail)
        complain("a batch failed on a sound disk: %s", err_text(err));
    return err ? err : sim_disk_is_down() ? ERR_IO : ERR_OK;
}
