#include "base/log.h"
#include "base/uninitialized.h"
#include "store/copy.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/secrets.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An empty data directory as what `adtally copy` fills: a database under another name, which takes
 * its own when it holds everything. It is the store's own in all but the indexes, which the first
 * start makes of the rows. How far the copy is stands in `total`, as the last sequence.
 *
 * Sequences of a database have gaps: they stay, since receipts are made of sequences, and how many
 * were never an event's stands in `meta`. */

enum { SEQUENCES_PER_PART = 4096, SQL_MAX = 160 };

struct dir_target {
    struct copy_target target; /* first: what the copy holds */
    char *problem;
    const char *path; /* of the directory */
    struct sqlite_store *store;
    sqlite3_stmt *inserts[EVENT_TABLES];
    int64_t newest_ms; /* recorded_at_ms of all events so far, the highest */
    struct span table; /* being configured */
    sqlite3_stmt *insert;
    uint64_t rows_count;
};

static struct dir_target *dir_target_of(struct copy_target *target)
{
    return (struct dir_target *)(void *)target;
}

static enum err say(struct dir_target *target, enum err err, const char *what)
{
    if (err && !target->problem[0])
        snprintf(target->problem, STORE_PROBLEM_MAX,
                 "cannot %s in %.300s: %s: %s; run the command again to go on", what, target->path,
                 err_text(err), err_advice(err));
    return err;
}

/* -- rows ---------------------------------------------------------------------------------- */

static bool are_bytes(struct span column)
{
    return span_eq(column, SPAN("hash"));
}

static void bind_row(struct db_binder *to, const struct text_row *row)
{
    for (int i = 0; i < row->count; i++) {
        const struct row_cell *cell = &row->cells[i];
        if (!cell->is_text)
            db_bind_i64(to, cell->number);
        else if (are_bytes(row->names[i]))
            db_bind_blob(to, cell->text.ptr, cell->text.len);
        else
            db_bind_text(to, cell->text);
    }
}

/* As many parameters as the table has columns. */
static enum err prepare_insert(sqlite3 *db, struct span table, sqlite3_stmt **out)
{
    char sql[SQL_MAX];
    struct writer text;
    int64_t columns = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%.*s')", SPAN_FMT(table));
    enum err err = db_query_i64(db, sql, &columns);
    writer_init(&text, sql, sizeof sql - 1);
    writer_lit(&text, "INSERT INTO ");
    writer_put(&text, table);
    for (int64_t i = 0; i < columns; i++)
        writer_put(&text, i ? SPAN(",?") : SPAN(" VALUES (?"));
    writer_char(&text, ')');
    sql[text.len] = '\0';
    return err ? err : db_prepare(db, out, sql);
}

/* The marks say what was recorded when by the rows themselves, by the latest time so far: nothing
 * is taken for older than it is. */
static enum err note_age(struct dir_target *target, int64_t recorded_at_ms)
{
    struct sqlite_store *store = target->store;
    enum err err = ERR_OK;
    if (target->newest_ms) {
        ages_pass(&store->ages, target->newest_ms, target->newest_ms);
        if (ages_note(&store->ages, store->sequence_next, &store->totals))
            err = sqlite_write_age_mark(store);
    } else {
        ages_begin(&store->ages, recorded_at_ms, recorded_at_ms);
    }
    if (recorded_at_ms > target->newest_ms) target->newest_ms = recorded_at_ms;
    return err;
}

static enum err put_event(void *arg, enum op_kind kind, const struct text_row *row,
                          int64_t checksum)
{
    struct dir_target *target = dir_target_of(arg);
    struct sqlite_store *store = target->store;
    struct db_binder to = {target->inserts[kind], 1, 0};
    int64_t sequence = text_row_cell(row, "seq")->number;
    if (sequence < (int64_t)store->sequence_next) {
        snprintf(target->problem, STORE_PROBLEM_MAX,
                 "two events of the database have the sequence %lld", (long long)sequence);
        return ERR_CORRUPT;
    }
    store->sequence_next = (uint64_t)sequence;
    enum err err = note_age(target, text_row_cell(row, "recorded_at_ms")->number);
    bind_row(&to, row);
    db_bind_i64(&to, checksum);
    if (!err) err = db_run(to.statement);
    totals_note_recorded(&store->totals, kind);
    store->sequence_next = (uint64_t)sequence + 1;
    return say(target, err, "write the events");
}

/* -- parts --------------------------------------------------------------------------------- */

static enum err begin_part(struct copy_target *base)
{
    struct dir_target *target = dir_target_of(base);
    return say(target, db_run(target->store->statements[SQL_BEGIN]), "begin");
}

static enum err end_part(struct copy_target *base, int64_t to)
{
    struct dir_target *target = dir_target_of(base);
    struct sqlite_store *store = target->store;
    store->sequence_next = (uint64_t)to + 1;
    enum err err = totals_write(store);
    if (!err) err = db_run(store->statements[SQL_COMMIT]);
    if (!err) base->cursor = to;
    if (!err) err = sqlite_maintain(&store->store);
    return say(target, err, "write the events");
}

/* -- what is configured -------------------------------------------------------------------- */

static enum err put_configured(void *arg, const struct text_row *row)
{
    struct dir_target *target = arg;
    struct db_binder to = db_row(target->insert, target->table);
    bind_row(&to, row);
    target->rows_count++;
    return db_insert(&to);
}

static enum err put_table(struct dir_target *target, struct copy_source *source,
                          enum copy_table table, uint64_t *count)
{
    char sql[SQL_MAX];
    sqlite3 *db = target->store->db;
    struct rows *rows = source->rows;
    struct span name = target->table = copy_table_name(table);
    target->rows_count = 0;
    snprintf(sql, sizeof sql, "DELETE FROM %.*s", SPAN_FMT(name));
    enum err err = db_exec(db, sql);
    if (!err) err = prepare_insert(db, name, &target->insert);
    if (!err) err = rows->engine->read_table(rows, name, put_configured, target);
    sqlite3_finalize(target->insert);
    target->insert = NULL;
    *count = target->rows_count;
    return err;
}

static enum err put_meta(struct sqlite_store *store, const char *name, int64_t value)
{
    char sql[2 * SQL_MAX];
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO meta VALUES ('%s', %lld, row_checksum('meta', '%s', %lld))",
             name, (long long)value, name, (long long)value);
    return db_exec(store->db, sql);
}

static int64_t unused_sequences(const struct sqlite_store *store)
{
    int64_t count = (int64_t)store->sequence_next - 1;
    for (int i = 0; i < TOTAL_EVENTS_COUNT; i++)
        count -= store->totals.rows[i];
    return count;
}

static enum err put_all(struct dir_target *target, struct copy_source *source)
{
    struct sqlite_store *store = target->store;
    uint64_t rows[COPY_TABLES] = {0};
    enum err err = ERR_OK;
    for (int i = 0; i < COPY_TABLES && !err; i++)
        err = put_table(target, source, (enum copy_table)i, &rows[i]);
    store->totals.rows[TOTAL_API_KEY] = (int64_t)rows[COPY_API_KEY];
    store->totals.rows[TOTAL_POLL] = (int64_t)rows[COPY_POLL];
    store->totals.rows[TOTAL_POLL_OPTION] = (int64_t)rows[COPY_POLL_OPTION];
    if (!err) err = put_meta(store, "poll_counts", (int64_t)rows[COPY_POLL_COUNT]);
    if (!err) err = put_meta(store, "sequences_unused", unused_sequences(store));
    return err ? err : totals_write(store);
}

/* What follows is younger than all of it. */
static enum err put_last_mark(struct dir_target *target)
{
    struct sqlite_store *store = target->store;
    if (!target->newest_ms || ages_last_sequence(&store->ages) == store->sequence_next)
        return ERR_OK;
    ages_pass(&store->ages, target->newest_ms, target->newest_ms);
    return sqlite_write_age_mark(store);
}

static enum err configure(struct copy_target *base, struct copy_source *source)
{
    struct dir_target *target = dir_target_of(base);
    struct sqlite_store *store = target->store;
    enum err err = secrets_write(source->secrets, store->dir.fd);
    if (!err) err = db_run(store->statements[SQL_BEGIN]);
    if (!err) err = put_all(target, source);
    if (!err) err = put_last_mark(target);
    if (!err) err = db_run(store->statements[SQL_COMMIT]);
    return say(target, err, "write keys and polls");
}

static enum err ask(struct copy_target *base, const char *sql, char answer[COPY_ANSWER_SIZE])
{
    struct dir_target *target = dir_target_of(base);
    return say(target, db_query_text(target->store->db, sql, answer, COPY_ANSWER_SIZE), "read");
}

/* -- the end ------------------------------------------------------------------------------- */

static enum err become_one_file(struct dir_target *target)
{
    char mode[COPY_ANSWER_SIZE];
    struct sqlite_store *store = target->store;
    statements_finalize(store);
    for (int i = 0; i < EVENT_TABLES; i++) {
        sqlite3_finalize(target->inserts[i]);
        target->inserts[i] = NULL;
    }
    enum err err = db_query_text(store->db, "PRAGMA journal_mode = DELETE", mode, sizeof mode);
    if (!err && strcmp(mode, "delete") != 0) err = ERR_BUSY;
    sqlite3_close(store->db);
    store->db = NULL;
    return err;
}

static enum err finish(struct copy_target *base)
{
    struct dir_target *target = dir_target_of(base);
    int dir_fd = target->store->dir.fd;
    enum err err = become_one_file(target);
    if (!err && renameat(dir_fd, dir_new_name, dir_fd, "adtally.db") != 0) err = ERR_IO;
    if (!err && fsync(dir_fd) != 0) err = ERR_SYNC_FAILED;
    return say(target, err, "finish");
}

static void close_target(struct copy_target *base)
{
    struct dir_target *target = dir_target_of(base);
    for (int i = 0; i < EVENT_TABLES; i++)
        sqlite3_finalize(target->inserts[i]);
    if (target->store) sqlite_store_free(target->store); /* what is not committed goes */
    free(target);
}

static const struct copy_target_engine dir_target_engine = {
    .sequences_per_part = SEQUENCES_PER_PART,
    .keeps_checksums = true,
    .begin_part = begin_part,
    .put_event = put_event,
    .end_part = end_part,
    .configure = configure,
    .ask = ask,
    .finish = finish,
    .close = close_target,
};

/* -- how far it is ------------------------------------------------------------------------- */

/* Nothing of another one is there yet, so its secrets may be replaced. */
static enum err begin(struct dir_target *target, const struct secrets *secrets)
{
    return say(target, secrets_write(secrets, target->store->dir.fd), "write secrets.json");
}

static enum err check_same_source(struct dir_target *target, const struct secrets *secrets)
{
    struct sqlite_store *store = target->store;
    enum err err = say(target, secrets_read(store->secrets, store->dir.fd), "read secrets.json");
    if (err || memcmp(store->secrets->receipt_key, secrets->receipt_key, RECEIPT_KEY_SIZE) == 0)
        return err;
    snprintf(target->problem, STORE_PROBLEM_MAX,
             "a copy of another database was begun in %.300s: go on with that one, or name an empty"
             " or new directory",
             target->path);
    return ERR_FOREIGN;
}

/* The latest time of what is there: that of the last mark, or of a row behind it. */
static enum err find_newest(struct dir_target *target)
{
    struct sqlite_store *store = target->store;
    uint64_t from = ages_last_sequence(&store->ages);
    target->newest_ms = ages_mark(&store->ages, INT64_MAX).time_ms;
    for (int i = 0; i < EVENT_TABLES; i++) {
        char sql[SQL_MAX];
        int64_t newest_ms;
        snprintf(sql, sizeof sql,
                 "SELECT coalesce(max(recorded_at_ms), 0) FROM %.*s WHERE seq >= %llu",
                 SPAN_FMT(event_table_name((enum op_kind)i)), (unsigned long long)from);
        enum err err = db_query_i64(store->db, sql, &newest_ms);
        if (err) return err;
        if (newest_ms > target->newest_ms) target->newest_ms = newest_ms;
    }
    ages_begin(&store->ages, target->newest_ms, target->newest_ms);
    return ERR_OK;
}

static enum err read_state(struct dir_target *target)
{
    struct sqlite_store *store = target->store;
    enum err err = totals_read(store);
    ages_begin(&store->ages, INT64_MAX, INT64_MAX);
    if (!err) err = rebuild_ages(store);
    if (!err) err = find_newest(target);
    target->target.cursor = (int64_t)store->sequence_next - 1;
    return err;
}

static enum err open_database(struct dir_target *target)
{
    struct sqlite_store *store = target->store;
    struct dir *dir = &store->dir;
    enum err err = dir_open_new(dir, target->path, target->problem);
    if (err) return err;
    snprintf(dir->db_path, sizeof dir->db_path, "%s/%s", target->path, dir_new_name);
    err = sqlite_open_connection(store);
    if (!err) err = schema_apply(store->db);
    if (!err) err = sqlite_note_windows(store);
    if (!err) err = statements_prepare(store);
    for (int i = 0; i < EVENT_TABLES && !err; i++)
        err = prepare_insert(store->db, event_table_name((enum op_kind)i), &target->inserts[i]);
    if (!err) err = read_state(target);
    return say(target, err, "make a database");
}

static void turn_logs_off(struct sqlite_store *store)
{
    for (int i = 0; i < INDEX_LOGS; i++)
        store->logs[i].is_off = true;
}

enum err sqlite_copy_target_open(struct copy_target **out, const struct store_copy *copy,
                                 struct secrets *secrets, char *problem)
{
    struct dir_target *target = calloc(1, sizeof *target);
    if (!target) return ERR_NO_MEMORY;
    db_start();
    target->target.engine = &dir_target_engine;
    target->problem = problem;
    target->path = copy->dir;
    target->store = sqlite_store_new(&copy->options);
    enum err err = target->store ? ERR_OK : ERR_NO_MEMORY;
    if (!err) turn_logs_off(target->store);
    if (!err) err = open_database(target);
    if (!err)
        err =
            target->target.cursor > 0 ? check_same_source(target, secrets) : begin(target, secrets);
    if (err)
        close_target(&target->target);
    else
        *out = &target->target;
    return err;
}
