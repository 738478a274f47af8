#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/secrets.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/wal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int on_wal_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    ((struct sqlite_store *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

/* FULL: a COMMIT returns when the WAL is on stable storage; NORMAL would not, and no kill -9 test
 * could tell. Checkpoints are ours (sqlite_maintain), after the answers. */
enum err sqlite_open_connection(struct sqlite_store *store)
{
    enum err err = db_open(&store->db, store->dir.db_path, store->dir.is_new);
    if (err) return err;
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    err = db_exec(store->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536;"
                             "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = 1;"
                             "PRAGMA mmap_size = 0; PRAGMA secure_delete = ON");
    sqlite3_wal_hook(store->db, on_wal_commit, store);
    return err ? err : batch_rows_register(store->batch_rows, store->db);
}

/* Through SQLite's own handle: closing another one of the same file would drop the process's lock
 * on it (POSIX), and then whoever reads the file with write permission deletes the WAL at the end.
 */
static bool sync_file(const struct sqlite_store *store, int which)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(store->db, "main", which, &file);
    if (code != SQLITE_OK || !file || !file->pMethods) return false;
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/* Every start moves the whole WAL into the database and syncs it. After a kill -9 between write and
 * fsync, SQLite takes such frames from the page cache as committed without a sync of its own, and a
 * retry would be told "duplicate" of an event that is not on disk yet. */
static enum err make_durable(struct sqlite_store *store)
{
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    bool is_read = (code & 0xff) == SQLITE_BUSY;
    if (code != SQLITE_OK && !is_read) return db_last_err(store->db);
    /* Somebody reads what the WAL still holds: it stays, and is synced where it is. */
    if (is_read)
        log_event(LOG_WARN, "wal_is_read",
                  LOG_TEXT("advice", SPAN("end the oldest reader of adtally.db")));
    bool synced = sync_file(store, SQLITE_FCNTL_FILE_POINTER) &&
                  sync_file(store, SQLITE_FCNTL_JOURNAL_POINTER) && fsync(store->dir.fd) == 0;
    return synced ? ERR_OK : ERR_SYNC_FAILED;
}

static enum err load_secrets(struct sqlite_store *store)
{
    enum err err = secrets_read(store->secrets, store->dir.fd);
    if (err != ERR_NOT_FOUND || !store->dir.is_new) return err;
    secrets_generate(store->secrets, clock_wall_ms());
    return secrets_write(store->secrets, store->dir.fd);
}

void sqlite_fingerprint_key(uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const struct secrets *secrets)
{
    uint8_t hash[HASH_SIZE];
    hash_secret(hash, secrets->pepper, SPAN("adtally index fingerprints"));
    memcpy(key, hash, HASH_FINGERPRINT_KEY_SIZE);
    hash_wipe(hash, sizeof hash);
}

/* The shortest ever in force is what `adtally verify` may hold the rows against; the longest is how
 * much older than a conversion its click may be. */
static enum err note_extreme(struct sqlite_store *store, const char *name, char than, int64_t ms)
{
    char sql[320];
    snprintf(sql, sizeof sql,
             "UPDATE meta SET value = w, checksum = row_checksum('meta', name, w)"
             " FROM (SELECT %lld AS w) WHERE name = '%s' AND value %c w"
             " AND checksum = row_checksum('meta', name, value)",
             (long long)ms, name, than);
    return db_exec(store->db, sql);
}

enum err sqlite_note_windows(struct sqlite_store *store)
{
    const struct store_options *options = &store->options;
    enum err err =
        note_extreme(store, "collect_dedup_window_ms_min", '>', options->collect_dedup_window_ms);
    if (!err) err = note_extreme(store, "impression_ttl_ms_min", '>', options->impression_ttl_ms);
    if (!err) err = note_extreme(store, "impression_ttl_ms_max", '<', options->impression_ttl_ms);
    if (!err) err = note_extreme(store, "click_ttl_ms_max", '<', options->click_ttl_ms);
    return err;
}

static enum err say(char *problem, enum err err, const char *what, const char *dir)
{
    if (err)
        snprintf(problem, STORE_PROBLEM_MAX, "cannot %s in %s: %s: %s", what, dir, err_text(err),
                 err_advice(err));
    return err;
}

/* Before SQLite opens it, which would drop what stands behind the damage. */
static enum err check_wal(const struct sqlite_store *store, char *problem)
{
    struct wal_damage damage;
    enum err err = wal_check(store->dir.db_path, &damage);
    if (err) return say(problem, err, "read adtally.db-wal", store->options.dir);
    if (!damage.is_found) return ERR_OK;
    snprintf(problem, STORE_PROBLEM_MAX,
             "adtally.db-wal in %s is damaged in frame %u, and recorded events stand behind it: "
             "restore a backup, or remove the file and with it all events that are in it",
             store->options.dir, damage.frame);
    return ERR_CORRUPT;
}

static enum err read_secrets(struct sqlite_store *store, char *problem)
{
    const char *dir = store->options.dir;
    enum err err = load_secrets(store);
    if (err != ERR_NOT_FOUND) return say(problem, err, "read secrets.json", dir);
    snprintf(
        problem, STORE_PROBLEM_MAX,
        "secrets.json is missing in %s: put it back, or restore a backup; without it no key and "
        "no token is known",
        dir);
    return err;
}

static enum err open_database(struct sqlite_store *store, char *problem)
{
    const char *dir = store->options.dir;
    enum err err = read_secrets(store, problem);
    if (!err) sqlite_fingerprint_key(store->fingerprint_key, store->secrets);
    if (!err) err = check_wal(store, problem);
    if (!err) err = say(problem, sqlite_open_connection(store), "open adtally.db", dir);
    if (!err) err = say(problem, schema_apply(store->db), "use adtally.db", dir);
    if (!err) err = say(problem, sqlite_note_windows(store), "write adtally.db", dir);
    if (!err) err = say(problem, make_durable(store), "recover adtally.db", dir);
    if (!err) err = say(problem, statements_prepare(store), "use adtally.db", dir);
    if (!err && !index_logs_open(store)) err = say(problem, ERR_NO_MEMORY, "open the store", dir);
    if (!err) err = say(problem, rebuild_indexes(store), "read adtally.db", dir);
    store->dir.is_new = false;
    return err;
}

static const size_t index_offsets[INDEX_NUMBERS] = {
    [INDEX_CLICKS] = offsetof(struct sqlite_store, clicks),
    [INDEX_CLICKS_OF_BIDS] = offsetof(struct sqlite_store, clicks_of_bids),
    [INDEX_CONVERSION_KEYS] = offsetof(struct sqlite_store, conversion_keys),
    [INDEX_COLLECT_KEYS] = offsetof(struct sqlite_store, collect_keys),
    [INDEX_IMPRESSIONS] = offsetof(struct sqlite_store, impressions),
    [INDEX_FEEDBACKS] = offsetof(struct sqlite_store, feedbacks),
    [INDEX_AD_FEEDBACKS] = offsetof(struct sqlite_store, ad_feedbacks),
    [INDEX_AD_FEEDBACKS_OF_BIDS] = offsetof(struct sqlite_store, ad_feedbacks_of_bids),
    [INDEX_VOTES] = offsetof(struct sqlite_store, votes),
};

struct index *sqlite_index(struct sqlite_store *store, enum index_number number)
{
    return (struct index *)(void *)((char *)store + index_offsets[number]);
}

void sqlite_store_free(struct sqlite_store *store)
{
    statements_finalize(store);
    sqlite3_close(store->db);
    for (int i = 0; i < INDEX_NUMBERS; i++)
        index_fini(sqlite_index(store, i));
    index_logs_close(store);
    window_free(store->sessions);
    window_free(store->recent_clicks);
    free(store->batch_rows);
    polls_free(store);
    dir_close(&store->dir);
    secret_free(store->secrets, sizeof *store->secrets);
    free(store);
}

static void sqlite_close_store(struct store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    index_logs_write(store, 1);
    statements_finalize(store);
    if (store->db) /* so that adtally.db alone holds everything after a clean stop */
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite_store_free(store);
}

static const struct secrets *sqlite_secrets(const struct store *base)
{
    return ((const struct sqlite_store *)base)->secrets;
}

static void sqlite_stats(const struct store *base, struct store_stats *out)
{
    enum { PAGE_SIZE = 4096 };
    const struct sqlite_store *store = (const struct sqlite_store *)base;
    uint64_t keys_count = 0, bytes = 0;
    for (int i = 0; i < INDEX_NUMBERS; i++) {
        const struct index *index =
            (const struct index *)(const void *)((const char *)store + index_offsets[i]);
        keys_count += index_count(index);
        bytes += index_bytes(index);
    }
    *out = (struct store_stats){
        .sequence_next = store->sequence_next,
        .clicks_indexed = index_count(&store->clicks),
        .keys_indexed = keys_count - index_count(&store->clicks),
        .index_bytes = bytes,
        .wal_bytes = (uint64_t)store->wal_pages * PAGE_SIZE,
        .rebuilt_count = store->rebuilt_count,
        .rebuild_ms = store->rebuild_ms,
        .commit_us = store->commit_us,
    };
}

static const struct store_engine sqlite_engine = {
    .name = "sqlite",
    .close = sqlite_close_store,
    .apply = sqlite_apply,
    .maintain = sqlite_maintain,
    .probe = sqlite_probe,
    .each_key = sqlite_each_key,
    .each_poll = sqlite_each_poll,
    .secrets = sqlite_secrets,
    .stats = sqlite_stats,
};

static int64_t longest_ttl_ms(const struct store_options *options)
{
    int64_t longest = options->click_ttl_ms;
    if (options->impression_ttl_ms > longest) longest = options->impression_ttl_ms;
    if (options->collect_dedup_window_ms > longest) longest = options->collect_dedup_window_ms;
    return longest;
}

struct sqlite_store *sqlite_store_new(const struct store_options *options)
{
    struct sqlite_store *store = calloc(1, sizeof *store);
    if (!store) return NULL;
    store->store.engine = &sqlite_engine;
    store->options = *options;
    store->dir = (struct dir){.fd = -1, .lock_fd = -1};
    for (int i = 0; i < INDEX_NUMBERS; i++) {
        index_init(sqlite_index(store, i), i == INDEX_CLICKS ? 2 : 1);
        sqlite_index(store, i)->number = (unsigned)i;
    }
    store->sessions = window_new(WINDOW_MS);
    store->recent_clicks = window_new(DOUBLE_CLICK_MS);
    store->batch_rows = calloc(1, sizeof *store->batch_rows);
    store->secrets = secret_new(sizeof *store->secrets);
    ages_init(&store->ages, longest_ttl_ms(options) + FLOOR_MARGIN_MS);
    if (store->sessions && store->recent_clicks && store->secrets && store->batch_rows)
        return store;
    sqlite_store_free(store);
    return NULL;
}

enum err sqlite_store_open(struct store **out, const struct store_options *options,
                           char problem[STORE_PROBLEM_MAX])
{
    db_start();
    struct sqlite_store *store = sqlite_store_new(options);
    if (!store) return say(problem, ERR_NO_MEMORY, "open the store", options->dir);
    enum err err = dir_open(&store->dir, options->dir, options->create, problem);
    if (!err) err = open_database(store, problem);
    if (err) {
        sqlite_close_store(&store->store);
        return err;
    }
    *out = &store->store;
    return ERR_OK;
}
