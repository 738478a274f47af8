#include "store/sqlite/wal.h"

#include "store/sqlite/db.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* The format is SQLite's: https://www.sqlite.org/fileformat2.html#walformat */
enum {
    PAGE_SIZE = 4096,
    HEADER_SIZE = 32,
    FRAME_HEADER_SIZE = 24,
    FRAME_SIZE = FRAME_HEADER_SIZE + PAGE_SIZE,
};
static const uint32_t MAGIC = 0x377f0682; /* the lowest bit: checksums are of big-endian words */

struct sums {
    uint32_t first, second;
};

struct frame {
    uint8_t bytes[FRAME_SIZE];
    uint32_t page, commit; /* commit: pages of the database after it, 0 inside a transaction */
    uint32_t salts[2];
    struct sums stored, computed; /* computed: from the stored sums of the frame before */
    bool follows;                 /* it fits its checksum, behind the frame before as that is */
};

struct scan {
    sqlite3_vfs *vfs;
    char *db_path;        /* as SQLite's, full */
    const char *filename; /* as xOpen wants it */
    sqlite3_file *wal, *db;
    uint32_t frames;
    uint32_t salts[2];
    bool is_big_endian;
    struct frame at;
    uint32_t *seen;     /* by page: in which run, or by which frame, it was seen last */
    enum err err;       /* the first */
    uint32_t pages_max; /* no page has a higher number: each was in the database or is in a frame */
};

static uint32_t get32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

struct words {
    uint32_t first, second;
};

static struct words words_at(const struct scan *scan, const uint8_t *bytes)
{
    struct words words;
    memcpy(&words, bytes, sizeof words);
    if (scan->is_big_endian) return (struct words){be32toh(words.first), be32toh(words.second)};
    return (struct words){le32toh(words.first), le32toh(words.second)};
}

static struct sums add_sums(const struct scan *scan, struct sums sums, const uint8_t *bytes,
                            size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        struct words words = words_at(scan, bytes + i);
        sums.first += words.first + sums.second;
        sums.second += words.second + sums.first;
    }
    return sums;
}

/* What the sums were before add_sums. */
static struct sums take_sums_back(const struct scan *scan, struct sums sums, const uint8_t *bytes,
                                  size_t size)
{
    for (size_t i = size; i > 0; i -= 8) {
        struct words words = words_at(scan, bytes + i - 8);
        sums.second -= words.second + sums.first;
        sums.first -= words.first + sums.second;
    }
    return sums;
}

static bool same_sums(struct sums a, struct sums b)
{
    return a.first == b.first && a.second == b.second;
}

static struct sums get_sums(const uint8_t *bytes)
{
    return (struct sums){get32(bytes), get32(bytes + 4)};
}

/* -- files --------------------------------------------------------------------------------- */

static void fail(struct scan *scan, int code)
{
    if (!scan->err) scan->err = db_err(code);
}

static sqlite3_file *open_file(struct scan *scan, const char *name, int type)
{
    int exists = 0;
    int code = scan->vfs->xAccess(scan->vfs, name, SQLITE_ACCESS_EXISTS, &exists);
    if (code == SQLITE_OK && !exists) return NULL;
    sqlite3_file *file = calloc(1, (size_t)scan->vfs->szOsFile);
    if (!file) code = SQLITE_NOMEM;
    if (code == SQLITE_OK)
        code = scan->vfs->xOpen(scan->vfs, name, file, SQLITE_OPEN_READONLY | type, NULL);
    if (code == SQLITE_OK) return file;
    fail(scan, code);
    free(file);
    return NULL;
}

static void close_file(sqlite3_file *file)
{
    if (file && file->pMethods) file->pMethods->xClose(file);
    free(file);
}

/* False at the end of the file as well, which is no error: it may just have been cut. */
static bool read_at(struct scan *scan, sqlite3_file *file, void *bytes, int size, int64_t offset)
{
    int code = file->pMethods->xRead(file, bytes, size, offset);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) fail(scan, code);
    return code == SQLITE_OK;
}

static int64_t size_of(struct scan *scan, sqlite3_file *file)
{
    sqlite3_int64 size = 0;
    int code = file ? file->pMethods->xFileSize(file, &size) : SQLITE_OK;
    if (code != SQLITE_OK) fail(scan, code);
    return code == SQLITE_OK ? size : 0;
}

/* False: there is no WAL, or nothing in it. */
static bool open_wal(struct scan *scan, const char *db_path)
{
    scan->vfs = sqlite3_vfs_find(NULL);
    scan->db_path = calloc(1, (size_t)scan->vfs->mxPathname + 8);
    if (!scan->db_path) {
        fail(scan, SQLITE_NOMEM);
        return false;
    }
    int code = scan->vfs->xFullPathname(scan->vfs, db_path, scan->vfs->mxPathname, scan->db_path);
    if (code != SQLITE_OK && code != SQLITE_OK_SYMLINK) {
        fail(scan, code);
        return false;
    }
    char *wal_path = sqlite3_mprintf("%s-wal", scan->db_path);
    if (wal_path)
        scan->filename = sqlite3_create_filename(scan->db_path, scan->db_path, wal_path, 0, NULL);
    sqlite3_free(wal_path);
    if (!scan->filename) {
        fail(scan, SQLITE_NOMEM);
        return false;
    }
    scan->wal = open_file(scan, sqlite3_filename_wal(scan->filename), SQLITE_OPEN_WAL);
    int64_t size = size_of(scan, scan->wal);
    if (size < HEADER_SIZE + FRAME_SIZE) return false;
    scan->db = open_file(scan, scan->filename, SQLITE_OPEN_MAIN_DB);
    scan->frames = (uint32_t)((size - HEADER_SIZE) / FRAME_SIZE);
    scan->pages_max = (uint32_t)(size_of(scan, scan->db) / PAGE_SIZE) + scan->frames;
    return true;
}

static void close_scan(struct scan *scan)
{
    close_file(scan->wal);
    close_file(scan->db);
    sqlite3_free_filename(scan->filename);
    free(scan->db_path);
    free(scan->seen);
}

/* -- frames -------------------------------------------------------------------------------- */

/* Frame `number`, from 1, behind one that ends with `before`. */
static bool read_frame(struct scan *scan, uint32_t number, struct sums before)
{
    struct frame *at = &scan->at;
    int64_t offset = HEADER_SIZE + (int64_t)(number - 1) * FRAME_SIZE;
    if (!read_at(scan, scan->wal, at->bytes, FRAME_SIZE, offset)) return false;
    at->page = get32(at->bytes);
    at->commit = get32(at->bytes + 4);
    at->salts[0] = get32(at->bytes + 8);
    at->salts[1] = get32(at->bytes + 12);
    at->stored = get_sums(at->bytes + 16);
    at->computed = add_sums(scan, before, at->bytes, 8);
    at->computed = add_sums(scan, at->computed, at->bytes + FRAME_HEADER_SIZE, PAGE_SIZE);
    bool has_salts = at->salts[0] == scan->salts[0] && at->salts[1] == scan->salts[1];
    at->follows = has_salts && at->page != 0 && at->page <= scan->pages_max &&
                  same_sums(at->stored, at->computed);
    return true;
}

/* What was last noted of a page; notes `mark`, which is not 0, instead. */
static uint32_t note_page(struct scan *scan, uint32_t page, uint32_t mark)
{
    uint32_t noted = scan->seen[page];
    scan->seen[page] = mark;
    return noted;
}

/* Frames that may be of one transaction. */
struct run {
    uint32_t mark; /* of its pages */
    uint32_t commits;
    bool is_more; /* than one transaction */
};

static void start_run(struct run *run)
{
    *run = (struct run){.mark = run->mark + 1};
}

static void add_to_run(struct scan *scan, struct run *run)
{
    if (note_page(scan, scan->at.page, run->mark) == run->mark) run->is_more = true;
    run->commits += scan->at.commit != 0;
    if (run->commits > 1) run->is_more = true;
}

/* A frame that does not follow but is no remnant of an older WAL: damaged in one place, it still
 * says whether it ends a transaction. */
static bool is_plausible(const struct scan *scan)
{
    const struct frame *at = &scan->at;
    bool has_salts = at->salts[0] == scan->salts[0] && at->salts[1] == scan->salts[1];
    return at->page != 0 && at->page <= scan->pages_max &&
           (has_salts || same_sums(at->stored, at->computed));
}

static uint32_t get_header_word(const struct scan *scan, uint32_t word)
{
    return scan->is_big_endian ? word : be32toh(htole32(word));
}

/* Page and commit are the eight bytes of a frame that its checksum begins with. If only they are
 * wrong, the checksum says what they were: a batch that failed inside the header of a frame leaves
 * its first bytes on one that is of the batch before, and may end a transaction where that did not.
 */
static void mend_header(struct scan *scan, struct sums before)
{
    struct frame *at = &scan->at;
    struct sums after = take_sums_back(scan, at->stored, at->bytes + FRAME_HEADER_SIZE, PAGE_SIZE);
    uint32_t first = after.first - before.first - before.second;
    uint32_t page = get_header_word(scan, first);
    uint32_t commit = get_header_word(scan, after.second - before.second - after.first);
    if (page == 0 || page > scan->pages_max || commit > scan->pages_max) return;
    at->page = page;
    at->commit = commit;
}

/* Whether there is more than a torn transaction from frame `number` on, which does not follow
 * `before`. What stands before it says nothing: a batch that failed, on a full disk or by an I/O
 * error, leaves its frames to the next one, which may fail earlier and so end in the middle of
 * them, with the same pages once more. The page of the frame itself says nothing either. */
static bool lost_more(struct scan *scan, uint32_t number, struct sums before)
{
    struct run run = {.mark = 0};
    start_run(&run);
    mend_header(scan, before);
    run.commits = is_plausible(scan) && scan->at.commit != 0;
    struct sums stored = scan->at.stored, computed = scan->at.computed;
    for (number++; number <= scan->frames && !run.is_more; number++) {
        if (!read_frame(scan, number, stored)) return false;
        /* Where only the checksum was damaged, the next frame follows what it should have been. */
        if (!scan->at.follows && !read_frame(scan, number, computed)) return false;
        if (!scan->at.follows) start_run(&run);
        if (scan->at.follows) add_to_run(scan, &run);
        stored = scan->at.stored;
        computed = scan->at.computed;
    }
    return run.is_more;
}

static void check_frames(struct scan *scan, struct sums sums, struct wal_damage *damage)
{
    for (uint32_t number = 1; number <= scan->frames; number++) {
        if (!read_frame(scan, number, sums)) return;
        if (!scan->at.follows) {
            *damage = (struct wal_damage){lost_more(scan, number, sums), number, scan->salts[0]};
            return;
        }
        sums = scan->at.stored;
    }
}

/* -- a header that SQLite would not take --------------------------------------------------- */

static bool is_in_database(struct scan *scan, uint32_t number, struct sums before)
{
    uint8_t page[PAGE_SIZE];
    if (!read_frame(scan, number, before)) return false;
    int64_t offset = (int64_t)(scan->at.page - 1) * PAGE_SIZE;
    return read_at(scan, scan->db, page, PAGE_SIZE, offset) &&
           memcmp(page, scan->at.bytes + FRAME_HEADER_SIZE, PAGE_SIZE) == 0;
}

/* Notes the latest frame of each page in the first frames that follow each other, up to the last
 * commit, which is returned; 0 when there is none. Their salts tell which WAL they are of. */
static uint32_t note_latest(struct scan *scan)
{
    uint32_t last_commit = 0;
    bool is_begun = false;
    struct sums before = {0, 0};
    for (uint32_t number = 1; number <= scan->frames; number++) {
        if (!read_frame(scan, number, before)) break;
        if (is_begun && !scan->at.follows) break;
        is_begun = scan->at.follows;
        if (is_begun) note_page(scan, scan->at.page, number);
        if (is_begun && scan->at.commit) last_commit = number;
        memcpy(scan->salts, scan->at.salts, sizeof scan->salts);
        before = scan->at.stored;
    }
    return last_commit;
}

static void check_headless(struct scan *scan, struct wal_damage *damage)
{
    struct sums none = {0, 0};
    scan->is_big_endian = BYTE_ORDER == BIG_ENDIAN;
    uint32_t last_commit = note_latest(scan);
    if (!last_commit) return;
    for (uint32_t page = 1; page <= scan->pages_max && !damage->is_found; page++) {
        uint32_t number = scan->seen[page];
        if (number == 0 || number > last_commit) continue;
        damage->is_found = !scan->db || !is_in_database(scan, number, none);
        damage->salt = scan->salts[0];
    }
}

static enum err check(struct scan *scan, struct wal_damage *damage)
{
    uint8_t header[HEADER_SIZE];
    scan->seen = calloc((size_t)scan->pages_max + 1, sizeof *scan->seen);
    if (!scan->seen) return ERR_NO_MEMORY;
    if (!read_at(scan, scan->wal, header, sizeof header, 0)) return scan->err;
    scan->is_big_endian = get32(header) == (MAGIC | 1);
    struct sums sums = add_sums(scan, (struct sums){0, 0}, header, 24);
    bool is_ours = (get32(header) & ~1u) == MAGIC && get32(header + 8) == PAGE_SIZE &&
                   same_sums(sums, get_sums(header + 24));
    scan->salts[0] = get32(header + 16);
    scan->salts[1] = get32(header + 20);
    if (is_ours)
        check_frames(scan, sums, damage);
    else
        check_headless(scan, damage);
    return scan->err;
}

enum err wal_check(const char *db_path, struct wal_damage *damage)
{
    *damage = (struct wal_damage){false, 0, 0};
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan) return ERR_NO_MEMORY;
    enum err err = open_wal(scan, db_path) && !scan->err ? check(scan, damage) : scan->err;
    close_scan(scan);
    free(scan);
    return err;
}
