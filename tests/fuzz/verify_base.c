#include "verify_base.h"

#include "fuzz.h"
#include "store/store.h"
#include "token/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t NOW_MS = INT64_C(1795000000000);
enum { CLICKS = 24, EVENTS = 12 };

/* -- files --------------------------------------------------------------------------------------
 */

static void path_of(char path[512], const char *dir, const char *name)
{
    int len = snprintf(path, 512, "%s/%s", dir, name);
    require(len > 0 && len < 512, "a path past its limit");
}

void base_write_file(const char *dir, const char *name, struct span bytes)
{
    char path[512];
    path_of(path, dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len;
    require(written && close(fd) == 0, "a file cannot be written");
}

struct span base_read_file(const char *dir, const char *name)
{
    char path[512];
    struct stat info;
    path_of(path, dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return SPAN_NONE;
    require(fstat(fd, &info) == 0, "a file without a size");
    size_t size = (size_t)info.st_size;
    char *bytes = malloc(size ? size : 1);
    require(bytes && read(fd, bytes, size) == (ssize_t)size, "a file cannot be read");
    close(fd);
    return (struct span){bytes, size};
}

void base_remove_file(const char *dir, const char *name)
{
    char path[512];
    path_of(path, dir, name);
    require(unlink(path) == 0 || errno == ENOENT, "a file cannot be removed");
}

/* -- events ---------------------------------------------------------------------------------------
 */

static void apply(struct store *store, struct op op)
{
    struct op *ops[] = {&op};
    op.received_at_ms = NOW_MS;
    require(store_apply(store, ops, 1) == ERR_OK && op.outcome == OUTCOME_RECORDED,
            "the store does not record what the base is made of");
}

static void record_click(struct store *store, unsigned number, char id[UUID_TEXT_LEN])
{
    uint8_t random[10] = {(uint8_t)number, (uint8_t)(number * 7)};
    char bid[16];
    struct click click = {.id = uuid_make_v7(NOW_MS, random),
                          .expires_at_ms = NOW_MS + INT64_C(7776000000),
                          .ad = {.bid_id = {bid, 0}, .publisher_id = SPAN("publisher")},
                          .visitor = {SPAN("203.0.113.0"), SPAN("Mozilla/5.0")},
                          .landing_url = SPAN("https://shop.example/landing"),
                          .route = SPAN("redirect")};
    click.ad.bid_id.len = (size_t)snprintf(bid, sizeof bid, "bid-%u", number);
    uuid_write(id, &click.id);
    apply(store, (struct op){.kind = OP_CLICK, .click = click});
}

/* Each third with an order, each third with a key, each with params of another length. */
static void record_conversion(struct store *store, unsigned number, const char *click_id)
{
    char key[16], params[1024], padding[900];
    struct span id = {key, (size_t)snprintf(key, sizeof key, "key-%u", number)};
    memset(padding, 'x', sizeof padding);
    int len = snprintf(params, sizeof params, "{\"extra\":{\"a\":\"%.*s\"}}", (int)(number * 37),
                       padding);
    struct conversion conversion = {
        .sender = {SPAN("partner"), SPAN("p00000000001"), SPAN("label"), SPAN_NONE},
        .click_id = {click_id, UUID_TEXT_LEN},
        .event_type = SPAN("purchase_completed"),
        .idempotency_key = number % 3 == 0 ? id : SPAN_NONE,
        .order_id = number % 3 == 1 ? id : SPAN_NONE,
        .check_order = true,
        .conversion_time = SPAN("2026-09-21T14:13:20Z"),
        .conversion_time_ms = NOW_MS,
        .conversion_value = SPAN("49.99"),
        .value = {49, 990000000},
        .currency = SPAN("USD"),
        .channel = SPAN("server"),
        .params = {params, (size_t)len}};
    apply(store, (struct op){.kind = OP_CONVERSION, .conversion = conversion});
}

static void record_events(struct store *store, unsigned number)
{
    char text[16];
    struct span id = {text, (size_t)snprintf(text, sizeof text, "id-%u", number)};
    struct ad_facts ad = {.bid_id = id, .publisher_id = SPAN("publisher")};
    struct server_event event = {.sender = {SPAN("partner"), SPAN("p00000000001"), SPAN("label")},
                                 .event_name = SPAN("page_view"),
                                 .tag_id = SPAN("site:shop.example"),
                                 .event_id = id,
                                 .timestamp = NOW_MS / 1000,
                                 .channel = SPAN("server"),
                                 .params = SPAN("{\"integration\":\"partner_s2s\"}")};
    struct ad_feedback feedback = {.ad = ad,
                                   .api_key_id = SPAN("u00000000001"),
                                   .sent_session_id = id,
                                   .sentiment = SPAN("thumbs_up")};
    apply(store, (struct op){.kind = OP_SERVER_EVENT, .server_event = event});
    apply(store,
          (struct op){.kind = OP_IMPRESSION, .impression = {.ad = ad, .route = SPAN("view")}});
    apply(store,
          (struct op){.kind = OP_FEEDBACK, .feedback = {.bid_id = id, .type = SPAN("positive")}});
    apply(store, (struct op){.kind = OP_AD_FEEDBACK, .ad_feedback = feedback});
    apply(store,
          (struct op){.kind = OP_VOTE, .vote = {.ad = ad, .poll_id = 7, .option_id = SPAN("1")}});
}

static void record_base(struct store *store)
{
    const struct poll poll = {.id = 7,
                              .question = SPAN("Which one?"),
                              .options = {{SPAN("0"), SPAN("Wedding")}, {SPAN("1"), SPAN("Other")}},
                              .options_count = 2};
    const struct api_key key = {.id = SPAN("p00000000001"),
                                .cls = APIKEY_PARTNER,
                                .label = SPAN("label"),
                                .partner_id = SPAN("partner"),
                                .created_at_ms = NOW_MS};
    char id[UUID_TEXT_LEN];
    apply(store, (struct op){.kind = OP_POLL_PUT, .poll = poll});
    apply(store, (struct op){.kind = OP_KEY_CREATE, .key = key});
    for (unsigned i = 0; i < CLICKS; i++) {
        record_click(store, i, id);
        record_conversion(store, i, id);
    }
    for (unsigned i = 0; i < EVENTS; i++)
        record_events(store, i);
}

/* -- images ---------------------------------------------------------------------------------------
 */

/* Each promise broken by a row of its own kind, and what is said of that. */
static const struct damage {
    const char *sql, *text;
} damages[] = {
    {"UPDATE click SET seq = (SELECT max(seq) FROM vote) WHERE seq = (SELECT max(seq) FROM click);"
     "UPDATE conversion SET click_seq = (SELECT max(seq) FROM click)"
     " WHERE click_id = (SELECT click_id FROM click ORDER BY seq DESC LIMIT 1)",
     "sequences used by more than one event"},
    {"INSERT INTO click SELECT 100000, click_id, recorded_at_ms, bid_id, advertiser_id,"
     " publisher_id, campaign_id, product_id, creative_id, user_id, session_id, placement, price,"
     " currency, pricing, landing_url, client_address, user_agent, route, expires_at_ms, flags,"
     " checksum"
     " FROM click"
     " LIMIT 1",
     "click ids recorded more than once"},
    {"DELETE FROM click WHERE seq = (SELECT click_seq FROM conversion LIMIT 1)",
     "conversions without their click"},
    {"UPDATE click SET bid_id = NULL WHERE seq = (SELECT click_seq FROM conversion LIMIT 1)",
     "conversions of a click without bid"},
    {"UPDATE conversion SET click_id = (SELECT click_id FROM conversion ORDER BY seq LIMIT 1),"
     " click_seq = (SELECT click_seq FROM conversion ORDER BY seq LIMIT 1), idempotency_key ="
     " 'key-0' WHERE seq = (SELECT max(seq) FROM conversion)",
     "conversions counted twice under one key"},
    {"UPDATE server_event SET event_id = 'id-0' WHERE event_id = 'id-5'",
     "server events counted twice within the dedup window"},
    {"UPDATE vote SET bid_id = 'id-0' WHERE bid_id = 'id-5'", "bids with more than one vote"},
    {"UPDATE vote SET option_id = '9' WHERE bid_id = 'id-5'",
     "votes for an option that its poll does not have"},
    {"DELETE FROM impression WHERE bid_id = 'id-5'", "feedback without its impression"},
    {"UPDATE feedback SET impression_seq = (SELECT impression_seq FROM feedback WHERE bid_id ="
     " 'id-0'), bid_id = 'id-0' WHERE bid_id = 'id-5'",
     "impressions with more than one feedback"},
    {"UPDATE conversion SET value_nanos = value_nanos + 1 WHERE seq = (SELECT max(seq) FROM"
     " conversion)",
     "conversions whose amount differs from its text"},
};

enum { DAMAGES = sizeof damages / sizeof damages[0] };
_Static_assert(DAMAGES + 2 <= BASE_IMAGES_MAX, "a sound one, one with a WAL, and the damaged ones");

static sqlite3 *open_database(const char *dir)
{
    char path[512];
    sqlite3 *db;
    path_of(path, dir, "adtally.db");
    require(sqlite3_open(path, &db) == SQLITE_OK, "SQLite cannot open the base");
    return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", sqlite3_errmsg(db), sql);
    require(false, "the base cannot be damaged");
}

static struct span change_database(const char *dir, const char *sql)
{
    sqlite3 *db = open_database(dir);
    if (sql) run_sql(db, sql);
    run_sql(db, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;"
                "PRAGMA journal_mode = WAL");
    sqlite3_close(db);
    base_remove_file(dir, "adtally.db-wal");
    base_remove_file(dir, "adtally.db-shm");
    return base_read_file(dir, "adtally.db");
}

/* The sound base with a few pages still in its WAL: copied while a connection holds it open. */
static struct base_image with_wal(const char *dir, struct span sound)
{
    base_write_file(dir, "adtally.db", sound);
    sqlite3 *db = open_database(dir);
    run_sql(db, "PRAGMA wal_autocheckpoint = 0;"
                "CREATE TEMP TABLE rows AS SELECT * FROM click;"
                "DELETE FROM click; INSERT INTO click SELECT * FROM rows");
    struct base_image image = {.database = base_read_file(dir, "adtally.db"),
                               .wal = base_read_file(dir, "adtally.db-wal")};
    require(image.wal.len > 0, "a WAL without pages");
    sqlite3_close(db);
    return image;
}

static struct span record(const char *dir)
{
    struct store *store;
    struct store_options options;
    char problem[STORE_PROBLEM_MAX];
    store_options_init(&options);
    options.dir = dir;
    options.create = true;
    require(hash_start(), "libsodium cannot start");
    require(store_open(&store, &options, problem) == ERR_OK, "the store cannot be opened");
    record_base(store);
    store_close(store);
    return change_database(dir, NULL);
}

/* But for secrets.json, which every image needs. */
/* But for secrets.json, which every image needs. The logs of the indexes are of rows that images
 * change. */
static void empty(const char *dir)
{
    DIR *list = opendir(dir);
    for (struct dirent *entry; (entry = readdir(list));)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "secrets.json") != 0)
            base_remove_file(dir, entry->d_name);
    closedir(list);
}

size_t base_make(struct base_image images[BASE_IMAGES_MAX], const char *dir)
{
    size_t count = 0;
    struct span sound = record(dir);
    images[count++] = (struct base_image){.database = sound};
    for (size_t i = 0; i < DAMAGES; i++) {
        base_write_file(dir, "adtally.db", sound);
        images[count++] = (struct base_image){.database = change_database(dir, damages[i].sql),
                                              .damage = damages[i].text};
    }
    images[count++] = with_wal(dir, sound);
    empty(dir);
    return count;
}
