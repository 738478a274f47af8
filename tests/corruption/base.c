#include "base.h"

#include "base/clock.h"
#include "store/checksum.h"
#include "store/sqlite/schema.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const file_names[FILES_COUNT] = {
    "adtally.db",   "adtally.db-wal", "secrets.json", "index-clicks.1",
    "index-bids.1", "index-events.1", "index-votes.1"};
static const int64_t DAY_MS = 24 * 60 * 60 * 1000LL;

static void need(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "flip: cannot %s\n", what);
    abort();
}

/* -- what is recorded ---------------------------------------------------------------------- */

enum { BATCH = 20, ROUNDS = 24, OPS_MAX = BATCH * ROUNDS + 200 };

struct maker {
    struct base *base;
    struct store *store;
    struct op *batch[BATCH];
    size_t count;
    int64_t now_ms;
    uint64_t random;
};

/* What ops borrow. */
static char texts[512 * 1024];
static size_t texts_len;

static __attribute__((format(printf, 1, 2))) struct span text(const char *format, ...)
{
    char *at = texts + texts_len;
    size_t room = sizeof texts - texts_len;
    va_list args;
    va_start(args, format);
    /* clang-tidy 14 knows va_start only in the first file of a run. */
    int len = vsnprintf(at, room, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    va_end(args);
    need(len >= 0 && (size_t)len < room, "make a text");
    texts_len += (size_t)len;
    return (struct span){at, (size_t)len};
}

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static struct uuid make_uuid(struct maker *maker, int64_t at_ms)
{
    uint64_t words[2] = {next_random(&maker->random), next_random(&maker->random)};
    uint8_t random[10];
    memcpy(random, words, sizeof random);
    return uuid_make_v7(at_ms, random);
}

static void apply(struct maker *maker)
{
    if (maker->count == 0) return;
    enum err err = store_apply(maker->store, maker->batch, maker->count);
    if (!err) err = store_maintain(maker->store);
    need(err == ERR_OK, "fill the database");
    maker->count = 0;
}

static struct op *add(struct maker *maker, struct op op)
{
    need(maker->base->probes_count < PROBES_MAX, "remember so many ops");
    struct probe *probe = &maker->base->probes[maker->base->probes_count++];
    probe->op = op;
    maker->batch[maker->count++] = &probe->op;
    if (maker->count == BATCH) apply(maker);
    return &probe->op;
}

static struct ad_facts ad_of(int bid)
{
    return (struct ad_facts){.bid_id = text("bid-%d", bid),
                             .advertiser_id = SPAN("adv"),
                             .publisher_id = SPAN("pub-1"),
                             .campaign_id = text("campaign-%d", bid % 3),
                             .product_id = SPAN("product"),
                             .price = SPAN("2.50"),
                             .currency = SPAN("EUR"),
                             .pricing = SPAN("cpm")};
}

static void add_impression(struct maker *maker, int bid, int64_t at_ms)
{
    add(maker, (struct op){.kind = OP_IMPRESSION,
                           .received_at_ms = at_ms,
                           .impression = {.ad = ad_of(bid),
                                          .visitor = {.address = SPAN("192.0.2.0"),
                                                      .user_agent = SPAN("Mozilla/5.0")},
                                          .route = SPAN("view")}});
}

static struct span add_click(struct maker *maker, int bid, int64_t at_ms)
{
    struct uuid id = make_uuid(maker, at_ms);
    char written[UUID_TEXT_LEN];
    uuid_write(written, &id);
    add(maker, (struct op){.kind = OP_CLICK,
                           .received_at_ms = at_ms,
                           .click = {.id = id,
                                     .expires_at_ms = at_ms + 90 * DAY_MS,
                                     .ad = ad_of(bid),
                                     .landing_url = SPAN("https://shop.example/landing"),
                                     .route = SPAN("redirect")}});
    return text("%.*s", (int)sizeof written, written);
}

static void add_conversion(struct maker *maker, int number, struct span click_id, int64_t at_ms)
{
    struct conversion conversion = {
        .sender = {.partner_id = SPAN("acme"), .api_key_id = SPAN("k"), .api_key_label = SPAN("l")},
        .click_id = click_id,
        .event_type = SPAN("purchase"),
        .order_id = number % 3 == 1 ? text("order-%d", number) : SPAN_NONE,
        .event_id = number % 3 == 2 ? text("event-%d", number) : SPAN_NONE,
        .idempotency_key = number % 3 == 0 ? text("key-%d", number) : SPAN_NONE,
        .check_order = true,
        .conversion_time = SPAN("2026-02-19T18:00:00Z"),
        .conversion_value = SPAN("49.99"),
        .value = {49, 990000000},
        .currency = SPAN("USD"),
        .channel = SPAN("server"),
    };
    add(maker,
        (struct op){.kind = OP_CONVERSION, .received_at_ms = at_ms, .conversion = conversion});
}

/* Some are longer than a page, so that there are overflow pages. */
static void add_event(struct maker *maker, int number, int64_t at_ms)
{
    add(maker,
        (struct op){.kind = OP_SERVER_EVENT,
                    .received_at_ms = at_ms,
                    .server_event = {
                        .sender = {.partner_id = SPAN("acme"),
                                   .api_key_id = SPAN("k"),
                                   .api_key_label = SPAN("l")},
                        .event_name = SPAN("page_view"),
                        .tag_id = SPAN("site:shop.example"),
                        .event_id = number % 5 ? text("event-%d", number) : SPAN_NONE,
                        .timestamp = at_ms / 1000,
                        .channel = SPAN("server"),
                        .params = text("{\"text\":\"%*d\"}", number % 12 == 7 ? 9000 : 20, number),
                    }});
}

static void add_feedbacks(struct maker *maker, int bid, int64_t at_ms)
{
    add(maker, (struct op){.kind = OP_FEEDBACK,
                           .received_at_ms = at_ms,
                           .feedback = {.bid_id = text("bid-%d", bid), .type = SPAN("positive")}});
    add(maker, (struct op){.kind = OP_AD_FEEDBACK,
                           .received_at_ms = at_ms,
                           .ad_feedback = {.id = make_uuid(maker, at_ms),
                                           .ad = ad_of(bid),
                                           .api_key_id = SPAN("k"),
                                           .sent_session_id = text("session-%d", bid),
                                           .sentiment = SPAN("negative"),
                                           .reasons = SPAN("[\"irrelevant\"]")}});
}

static struct op poll_op(int64_t id, uint32_t options, int option_len, int64_t at_ms)
{
    struct op op = {.kind = OP_POLL_PUT,
                    .received_at_ms = at_ms,
                    .poll = {.id = id, .question = SPAN("Which?"), .options_count = options}};
    static const uint64_t counts[POLL_OPTIONS_MAX] = {17, 4, 1};
    op.poll.counts = counts;
    for (uint32_t i = 0; i < options; i++)
        op.poll.options[i] = (struct poll_option){text("option-%u", i), text("%*u", option_len, i)};
    return op;
}

static void add_vote(struct maker *maker, int bid, int64_t at_ms)
{
    add(maker,
        (struct op){
            .kind = OP_VOTE,
            .received_at_ms = at_ms,
            .vote = {.ad = ad_of(bid), .poll_id = 7, .option_id = text("option-%d", bid % 3)}});
}

static void apply_alone(struct maker *maker, struct op op)
{
    struct op *ops[] = {&op};
    apply(maker);
    need(store_apply(maker->store, ops, 1) == ERR_OK && op.outcome == OUTCOME_RECORDED,
         "apply an op");
}

static void create_key(struct maker *maker, const char *id, uint8_t byte)
{
    struct op op = {.kind = OP_KEY_CREATE,
                    .key = {.id = span_of(id),
                            .cls = APIKEY_PARTNER,
                            .label = SPAN("label"),
                            .partner_id = SPAN("acme"),
                            .created_at_ms = maker->now_ms}};
    memset(op.key.hash, byte, sizeof op.key.hash);
    apply_alone(maker, op);
}

/* Keys, and polls of which one shrinks: its old pages are free ones. */
static void record_settings(struct maker *maker)
{
    int64_t at_ms = maker->now_ms - 120 * DAY_MS;
    create_key(maker, "keykeykey001", 1);
    create_key(maker, "keykeykey002", 2);
    apply_alone(maker, (struct op){.kind = OP_KEY_REVOKE,
                                   .received_at_ms = at_ms,
                                   .key_id = SPAN("keykeykey002")});
    apply_alone(maker, poll_op(7, 3, 8, at_ms));
    apply_alone(maker, poll_op(8, 20, 2000, at_ms));
    apply_alone(maker, poll_op(8, 2, 8, at_ms));
    apply_alone(maker,
                (struct op){.kind = OP_POLL_WITHDRAW, .received_at_ms = at_ms, .poll = {.id = 8}});
}

/* A round of everything, `days` ago. */
static void record_round(struct maker *maker, int round, int64_t days)
{
    int64_t at_ms = maker->now_ms - days * DAY_MS;
    for (int i = 0; i < 3; i++) {
        int number = round * 3 + i;
        add_impression(maker, number, at_ms);
        struct span click_id = add_click(maker, number, at_ms);
        apply(maker);
        add_conversion(maker, number, click_id, at_ms);
        add_event(maker, number, at_ms);
        add_vote(maker, number, at_ms);
        if (i == 0) add_feedbacks(maker, number, at_ms);
    }
    apply(maker);
}

/* A bid that has all the clicks it may have. */
static void record_cap(struct maker *maker)
{
    for (int i = 0; i < 100; i++)
        add_click(maker, 5000, maker->now_ms - DAY_MS);
    apply(maker);
}

/* -- files --------------------------------------------------------------------------------- */

static void path_of(char path[PATH_CAP], const char *dir, const char *name)
{
    need((size_t)snprintf(path, PATH_CAP, "%s/%s", dir, name) < PATH_CAP, "name a file");
}

static void read_file(struct file *file, const char *dir, const char *name)
{
    char path[PATH_CAP];
    path_of(path, dir, name);
    *file = (struct file){.bytes = malloc(FILE_CAP)};
    need(file->bytes != NULL, "read a file");
    snprintf(file->name, sizeof file->name, "%s", name);
    FILE *in = fopen(path, "rb");
    if (!in) return;
    file->size = fread(file->bytes, 1, FILE_CAP, in);
    fclose(in);
}

void base_take(struct base *base, const char *dir)
{
    for (int i = 0; i < FILES_COUNT; i++)
        read_file(&base->files[i], dir, file_names[i]);
}

void base_drop_logs(struct base *base)
{
    for (int i = FILE_INDEX_FIRST; i < FILES_COUNT; i++)
        base->files[i].size = 0;
}

static void clear_directory(const char *dir)
{
    char path[PATH_CAP];
    DIR *list = opendir(dir);
    need(list != NULL, "open the directory");
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        path_of(path, dir, entry->d_name);
        unlink(path);
    }
    closedir(list);
}

void base_write(const struct base *base, const char *dir)
{
    char path[PATH_CAP];
    clear_directory(dir);
    for (int i = 0; i < FILES_COUNT; i++) {
        const struct file *file = &base->files[i];
        if (file->size == 0) continue;
        path_of(path, dir, file->name);
        FILE *out = fopen(path, "wb");
        need(out && fwrite(file->bytes, 1, file->size, out) == file->size, "write a file");
        fclose(out);
    }
}

/* -- what is in it ------------------------------------------------------------------------- */

static bool dump_table(sqlite3 *db, struct span table, FILE *out)
{
    char sql[64];
    sqlite3_stmt *row = NULL;
    int code = SQLITE_ERROR;
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s", SPAN_FMT(table));
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK)
        while ((code = sqlite3_step(row)) == SQLITE_ROW)
            for (int i = 0; i < sqlite3_column_count(row); i++) {
                int type = sqlite3_column_type(row, i);
                fprintf(out, "%.*s.%d:%d:", SPAN_FMT(table), i, type);
                const void *bytes = sqlite3_column_blob(row, i);
                fwrite(bytes ? bytes : "", 1, (size_t)sqlite3_column_bytes(row, i), out);
                fputc('\n', out);
            }
    sqlite3_finalize(row);
    return code == SQLITE_DONE;
}

char *base_dump(const char *dir)
{
    char path[PATH_CAP], *dump = NULL;
    size_t size;
    sqlite3 *db = NULL;
    path_of(path, dir, file_names[FILE_DB]);
    FILE *out = open_memstream(&dump, &size);
    need(out != NULL, "dump the database");
    bool ok =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK;
    for (int i = 0; i < SCHEMA_TABLES_COUNT && ok; i++)
        ok = dump_table(db, schema_tables[i].name, out);
    sqlite3_close(db);
    fclose(out);
    if (ok) return dump;
    free(dump);
    return NULL;
}

static void digest_key(const struct api_key *key, void *arg)
{
    uint64_t *digest = arg;
    *digest = checksum_add(*digest, CHECKSUM_TEXT, key->id.ptr, key->id.len);
    *digest = checksum_add(*digest, CHECKSUM_TEXT, key->label.ptr, key->label.len);
    *digest = checksum_add(*digest, CHECKSUM_TEXT, key->partner_id.ptr, key->partner_id.len);
    *digest = checksum_add(*digest, CHECKSUM_BLOB, key->hash, sizeof key->hash);
    *digest = checksum_add_i64(*digest, key->revoked_at_ms);
}

uint64_t base_keys_digest(struct store *store, enum err *err)
{
    uint64_t digest = 1;
    *err = store_each_key(store, digest_key, &digest);
    return digest;
}

uint64_t base_votes(const struct op *op)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < POLL_OPTIONS_MAX; i++)
        sum = sum * 1000 + op->vote.results.votes[i];
    return sum;
}

enum err base_ask(const struct base *base, struct store *store, struct op *ops)
{
    struct op *batch[PROBES_MAX];
    for (size_t i = 0; i < base->probes_count; i++) {
        ops[i] = base->probes[i].op;
        ops[i].received_at_ms = clock_wall_ms();
        batch[i] = &ops[i];
    }
    return store_apply(store, batch, base->probes_count);
}

/* -- together ------------------------------------------------------------------------------ */

void base_options(struct store_options *options, const char *dir)
{
    store_options_init(options);
    options->dir = dir;
    options->create = true;
    options->index_log_events = 50; /* several blocks */
}

static struct store *open_base(const char *dir)
{
    struct store_options options;
    char problem[STORE_PROBLEM_MAX] = "";
    struct store *store = NULL;
    base_options(&options, dir);
    if (store_open(&store, &options, problem)) fprintf(stderr, "flip: %s\n", problem);
    need(store != NULL, "open the undamaged database");
    return store;
}

static void ask(struct base *base, struct op op)
{
    base->probes[base->probes_count++].op = op;
}

/* Asked beside what was recorded: results, and a new event. */
static void add_questions(struct base *base)
{
    need(base->probes_count + 3 <= PROBES_MAX, "ask so much");
    ask(base, (struct op){.kind = OP_POLL_RESULTS, .vote = {.poll_id = 7}});
    ask(base, (struct op){.kind = OP_POLL_RESULTS, .vote = {.poll_id = 8}});
    ask(base, (struct op){.kind = OP_IMPRESSION,
                          .impression = {.ad = ad_of(9999), .route = SPAN("ack")}});
}

/* A click is never a duplicate: one is asked for per bid that has none left, the others go. */
static void keep_probes(struct base *base)
{
    size_t kept = 0;
    bool has_cap = false;
    for (size_t i = 0; i < base->probes_count; i++) {
        const struct op *op = &base->probes[i].op;
        bool is_cap = op->kind == OP_CLICK && span_eq(op->click.ad.bid_id, SPAN("bid-5000"));
        if (op->kind == OP_CLICK && (!is_cap || has_cap)) continue;
        has_cap |= is_cap;
        base->probes[kept++] = base->probes[i];
    }
    base->probes_count = kept;
}

static void learn_answers(struct base *base, const char *dir)
{
    enum err err;
    struct op *ops = calloc(PROBES_MAX, sizeof *ops);
    need(ops != NULL, "ask");
    base_write(base, dir);
    struct store *store = open_base(dir);
    struct store_stats stats;
    store_stats(store, &stats);
    base->last = stats.sequence_next - 1;
    base->secrets = *store_secrets(store);
    base->keys_digest = base_keys_digest(store, &err);
    need(err == ERR_OK && base_ask(base, store, ops) == ERR_OK, "ask the undamaged store");
    for (size_t i = 0; i < base->probes_count; i++) {
        base->probes[i].outcome = ops[i].outcome;
        base->probes[i].sequence = ops[i].sequence;
        if (ops[i].kind == OP_POLL_RESULTS) base->probes[i].votes = base_votes(&ops[i]);
    }
    store_close(store);
    free(ops);
}

static void record_last_batch(struct maker *maker, const char *dir)
{
    struct base *base = maker->base;
    struct file wal;
    size_t first = base->probes_count;
    base->dump_before = base_dump(dir);
    read_file(&wal, dir, file_names[FILE_WAL]);
    base->wal_last_at = wal.size;
    free(wal.bytes);
    add_impression(maker, 7000, maker->now_ms);
    add_event(maker, 7001, maker->now_ms);
    apply(maker);
    for (size_t i = first; i < base->probes_count; i++)
        base->probes[i].is_of_last_batch = true;
}

void base_make(struct base *base, const char *dir, bool with_wal, uint64_t seed)
{
    struct maker maker = {.base = base, .now_ms = clock_wall_ms(), .random = seed};
    *base = (struct base){.probes_count = 0};
    clear_directory(dir);
    maker.store = open_base(dir);
    record_settings(&maker);
    for (int round = 0; round < ROUNDS; round++) {
        if (with_wal && round == ROUNDS / 2) {
            store_close(maker.store);
            maker.store = open_base(dir);
        }
        record_round(&maker, round, 110 - 109 * round / ROUNDS);
    }
    record_cap(&maker);
    if (with_wal) record_last_batch(&maker, dir);
    if (!with_wal) store_close(maker.store);
    base->dump = base_dump(dir);
    base_take(base, dir);
    if (with_wal) store_close(maker.store);
    need(base->dump != NULL, "dump the undamaged database");
    keep_probes(base);
    add_questions(base);
    learn_answers(base, dir);
}
