#include "store/store.h"

#include "fuzz.h"
#include "verify_base.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A database file that is handed to `adtally verify`. It ends, it never writes to the file, and
 * it is not fooled: untouched, it says of each base (verify_base.h) exactly what is wrong with it;
 * and where it says of a damaged file that every promise holds, the rows are read once more, and
 * the promises are checked by sorting in C instead of by its SQL.
 *
 * Input: the base, then edits of its bytes: a byte that says what to do, a page and a place in it
 * (one and two bytes), and what that edit takes. With a WAL, its pages follow those of the
 * database. */

enum { EDITS_MAX = 64, REPORT_MAX = 16 * 1024, ROWS_MAX = 4096 };

static char dir[256];
static struct base_image images[BASE_IMAGES_MAX];
static size_t images_count;

static void remove_dir(void)
{
    base_remove_file(dir, "secrets.json");
    rmdir(dir);
}

static void start(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/adtally-fuzz-XXXXXX", parent ? parent : "/tmp");
    require(mkdtemp(dir) != NULL, "no directory");
    atexit(remove_dir);
    images_count = base_make(images, dir);
}

/* -- editing
 * --------------------------------------------------------------------------------------- */

/* Database and WAL in one block, so that an edit can reach both. */
struct files {
    char *bytes;
    size_t database_len, len;
    bool is_edited;
};

static struct files copy_image(const struct base_image *image)
{
    size_t len = image->database.len + image->wal.len;
    struct files files = {malloc(len), image->database.len, len, false};
    memcpy(files.bytes, image->database.ptr, image->database.len);
    if (image->wal.len) memcpy(files.bytes + image->database.len, image->wal.ptr, image->wal.len);
    return files;
}

static size_t choose_place(struct choices *from, const struct files *files)
{
    size_t pages = files->len / BASE_PAGE_SIZE + 1;
    size_t at = choose_below(from, (uint32_t)pages) * BASE_PAGE_SIZE;
    at += choose_below(from, BASE_PAGE_SIZE);
    return at < files->len ? at : files->len - 1;
}

static void set_bytes(struct files *files, size_t at, struct span bytes)
{
    if (bytes.len > files->len - at) bytes.len = files->len - at;
    memmove(files->bytes + at, bytes.ptr, bytes.len);
}

static void cut(struct files *files, size_t at)
{
    bool is_database = at < files->database_len;
    files->len = is_database ? files->len - files->database_len + at : at;
    if (!is_database) return;
    memmove(files->bytes + at, files->bytes + files->database_len, files->len - at);
    files->database_len = at;
}

static void edit(struct files *files, struct choices *from)
{
    uint8_t how = choose_byte(from);
    size_t at = choose_place(from, files), other;
    if (how % 16 == 0) {
        if (files->len > BASE_PAGE_SIZE) cut(files, at ? at : 1);
    } else if (how % 16 < 4) {
        other = choose_place(from, files);
        size_t len = choose_below(from, BASE_PAGE_SIZE);
        if (len > files->len - other) len = files->len - other;
        set_bytes(files, at, (struct span){files->bytes + other, len});
    } else if (how % 16 < 10) {
        set_bytes(files, at, choose_text(from, 16));
    } else {
        files->bytes[at] ^= (char)choose_byte(from);
    }
}

static struct files choose_files(struct choices *from, const struct base_image *image)
{
    struct files files = copy_image(image);
    for (int i = 0; i < EDITS_MAX && from->left > 0; i++)
        edit(&files, from);
    files.is_edited = files.len != image->database.len + image->wal.len ||
                      memcmp(files.bytes, image->database.ptr, image->database.len) != 0 ||
                      (image->wal.len && memcmp(files.bytes + image->database.len, image->wal.ptr,
                                                image->wal.len) != 0);
    return files;
}

/* -- the promises, a second time
 * -------------------------------------------------------------------- */

struct rows {
    struct span keys[ROWS_MAX];
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const struct span *one = a, *other = b;
    size_t len = one->len < other->len ? one->len : other->len;
    int order = len ? memcmp(one->ptr, other->ptr, len) : 0;
    return order ? order : (one->len > other->len) - (one->len < other->len);
}

/* All columns of a row, each with its type and length before it. Absent: one of them is NULL. */
static struct span key_of(sqlite3_stmt *row)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool has_null = false;
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        int type = sqlite3_column_type(row, i);
        const void *bytes = sqlite3_column_blob(row, i);
        int size = sqlite3_column_bytes(row, i);
        has_null = has_null || type == SQLITE_NULL;
        fprintf(out, "%d %d ", type, size);
        if (bytes) fwrite(bytes, 1, (size_t)size, out);
    }
    fclose(out);
    if (!has_null) return (struct span){text, len};
    free(text);
    return SPAN_NONE;
}

static void read_rows(struct rows *rows, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &row, NULL);
    require(code == SQLITE_OK, "verified, and a table cannot be asked");
    rows->count = 0;
    while ((code = sqlite3_step(row)) == SQLITE_ROW && rows->count < ROWS_MAX) {
        rows->keys[rows->count] = key_of(row);
        rows->count += rows->keys[rows->count].ptr != NULL;
    }
    require(code == SQLITE_DONE, "verified, and a row cannot be read");
    sqlite3_finalize(row);
    qsort(rows->keys, rows->count, sizeof rows->keys[0], compare);
}

static void free_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        own_free(rows->keys[i]);
}

static void check_unique(sqlite3 *db, const char *sql)
{
    static struct rows rows;
    read_rows(&rows, db, sql);
    if (lies("unique") && rows.count > 1) {
        own_free(rows.keys[1]);
        rows.keys[1] = own_copy(rows.keys[0]);
    }
    for (size_t i = 1; i < rows.count; i++)
        require(!span_eq(rows.keys[i - 1], rows.keys[i]), "verified, and something is there twice");
    free_rows(&rows);
}

/* Every row of `some` is among those of `all`. */
static void check_among(sqlite3 *db, const char *some, const char *all)
{
    static struct rows few, many;
    read_rows(&few, db, some);
    read_rows(&many, db, all);
    if (lies("among")) many.count -= many.count > 0;
    for (size_t i = 0; i < few.count; i++)
        require(bsearch(&few.keys[i], many.keys, many.count, sizeof many.keys[0], compare) != NULL,
                "verified, and what a row names is not there");
    many.count += lies("among");
    free_rows(&few);
    free_rows(&many);
}

static void check_promises(void)
{
    char path[300];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/adtally.db", dir);
    require(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK,
            "verified, and it does not open");
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    check_unique(db, "SELECT click_id FROM click");
    check_unique(db, "SELECT partner_id, click_id, event_type, idempotency_key FROM conversion");
    check_unique(db, "SELECT bid_id FROM vote");
    check_unique(db, "SELECT impression_seq FROM feedback");
    check_unique(db, "SELECT seq FROM click UNION ALL SELECT seq FROM conversion UNION ALL SELECT"
                     " seq FROM server_event UNION ALL SELECT seq FROM impression UNION ALL SELECT"
                     " seq FROM feedback UNION ALL SELECT seq FROM ad_feedback UNION ALL SELECT"
                     " seq FROM vote");
    check_among(db, "SELECT click_seq, click_id FROM conversion",
                "SELECT seq, click_id FROM click");
    check_among(db, "SELECT impression_seq, bid_id FROM feedback",
                "SELECT seq, bid_id FROM impression");
    check_among(db, "SELECT poll_id, option_id FROM vote",
                "SELECT poll_id, option_id FROM poll_option");
    sqlite3_close(db);
}

/* -- one verification
 * --------------------------------------------------------------------------------- */

static void check_untouched(const struct files *files, bool has_wal)
{
    struct span database = base_read_file(dir, "adtally.db");
    struct span wal = base_read_file(dir, "adtally.db-wal");
    if (lies("untouched")) database.len--;
    require(span_eq(database, (struct span){files->bytes, files->database_len}),
            "verifying writes to the database");
    struct span expected = {files->bytes + files->database_len, files->len - files->database_len};
    require(has_wal ? span_eq(wal, expected) : wal.len == 0, "verifying writes to the WAL");
    own_free(database);
    own_free(wal);
}

static void check_left(void)
{
    DIR *list = opendir(dir);
    for (struct dirent *entry; (entry = readdir(list));)
        require(entry->d_name[0] == '.' || strncmp(entry->d_name, "adtally.db", 10) == 0 ||
                    strcmp(entry->d_name, "secrets.json") == 0,
                "verifying leaves a file");
    closedir(list);
}

static void check_verdict(const struct base_image *image, bool is_edited, enum err err,
                          const struct writer *report, uint64_t findings)
{
    if (lies("findings")) findings++;
    require(err || (findings == 0) == (report->len == 0),
            "findings without a line, or the reverse");
    if (is_edited) return;
    if (lies("verdict")) findings = !findings;
    require(err == ERR_OK, "a base cannot be verified");
    require((findings > 0) == (image->damage != NULL), "another verdict on a base");
    require(!image->damage ||
                memmem(report->base, report->len, image->damage, strlen(image->damage)),
            "another finding in a base");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char report_memory[REPORT_MAX];
    struct choices from = {bytes, size};
    struct writer report;
    uint64_t findings = 0;
    if (!dir[0]) start();
    const struct base_image *image = &images[choose_below(&from, (uint32_t)images_count)];
    struct files files = choose_files(&from, image);
    bool has_wal = image->wal.ptr != NULL;
    base_write_file(dir, "adtally.db", (struct span){files.bytes, files.database_len});
    if (has_wal)
        base_write_file(
            dir, "adtally.db-wal",
            (struct span){files.bytes + files.database_len, files.len - files.database_len});

    writer_init(&report, report_memory, sizeof report_memory);
    enum err err = store_verify(dir, &report, &findings);
    check_untouched(&files, has_wal);
    check_left();
    check_verdict(image, files.is_edited, err, &report, findings);
    if (err == ERR_OK && findings == 0) check_promises();
    base_remove_file(dir, "adtally.db");
    base_remove_file(dir, "adtally.db-wal");
    base_remove_file(dir, "adtally.db-shm");
    base_remove_file(dir, "adtally.db-journal");
    free(files.bytes);
    return 0;
}
