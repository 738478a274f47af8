#include "base.h"

#include "store/sqlite/db.h"
#include "store/sqlite/index_log.h"
#include "token/hash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Damages a database in one place and asks `verify` and the server what they make of it.
 *
 *   flip DIR MODE SEED STRIDE BITS [PART PARTS]
 *
 * DIR is an empty directory. The modes:
 *
 * - db, wal, secrets, index-clicks, -bids, -events, -votes: every STRIDE-th byte of that file, and
 *   all of its headers, has BITS different bits flipped, one at a time.
 * - db-scanned: the same of the database without the logs of the indexes, so that a start reads it.
 * - db-sectors, wal-sectors: each sector of 512 bytes is wiped, then filled with noise.
 * - torn: STRIDE times, any sectors of the WAL's last transaction are, which is what a power cut
 *   does to what was never acknowledged.
 * - forged: rows are changed together with their checksum. Nobody can tell, so both judges have to
 *   report misses.
 *
 * Each time
 *
 * - verify has to report something, or the rows are what they were;
 * - a start refuses with a sentence, or every answer is that of the undamaged store, or 503.
 *
 * The work is done in a child: one that dies or hangs is a miss as well. */

enum {
    HANG_S = 60,
    MISSES_TOLD_MAX = 20,
    SECTOR = 512,
    PAGE = 4096,
    DB_HEADER = 256,
    PAGE_HEADER = 16,
    WAL_HEADER = 32
};

enum mode {
    FLIP_DB,
    FLIP_DB_SCANNED,
    FLIP_WAL,
    FLIP_SECRETS,
    FLIP_CLICKS,
    FLIP_BIDS,
    FLIP_EVENTS,
    FLIP_VOTES,
    WIPE_DB,
    WIPE_WAL,
    TORN,
    FORGED,
    MODES_COUNT
};

/* Shared with the child. */
struct progress {
    size_t at;    /* the byte */
    unsigned how; /* the bit, or the kind of damage */
    bool is_done;
    uint64_t flips, found, unchanged, refused, served, unavailable, misses, older;
};

struct run {
    struct base base;
    const char *dir;
    enum mode mode;
    int choice; /* which file */
    uint64_t seed;
    size_t stride, part, parts;
    unsigned bits;
    struct progress *progress;
    struct op *ops;
};

static struct run run;

static void miss(const char *what, const char *detail)
{
    if (run.progress->misses++ < MISSES_TOLD_MAX)
        printf("MISS %s byte %zu how %u: %s %s\n", run.base.files[run.choice].name,
               run.progress->at, run.progress->how, what, detail);
    fflush(stdout);
}

/* Damage within the last transaction of a WAL looks like a write that a power cut tore: dropping
 * that transaction, and nothing else, is what has to happen then. */
static bool may_be_older(void)
{
    return run.choice == FILE_WAL && run.progress->at >= run.base.wal_last_at;
}

static void judge_verify(void)
{
    char report_text[8192];
    struct writer report;
    uint64_t findings = 0;
    writer_init(&report, report_text, sizeof report_text);
    enum err err = store_verify(run.dir, &report, &findings);
    if (err || findings) {
        run.progress->found++;
        return;
    }
    char *dump = base_dump(run.dir);
    if (dump && strcmp(dump, run.base.dump) == 0)
        run.progress->unchanged++;
    else if (dump && may_be_older() && strcmp(dump, run.base.dump_before) == 0)
        run.progress->older++;
    else
        miss("verify found nothing", dump ? "and rows differ" : "and rows cannot be read");
    free(dump);
}

static bool is_right(const struct probe *probe, const struct op *op)
{
    if (op->outcome == OUTCOME_UNAVAILABLE) return true;
    if (may_be_older() && probe->is_of_last_batch) return true;
    if (op->outcome != probe->outcome) return false;
    if (op->outcome == OUTCOME_DUPLICATE && op->sequence != probe->sequence) return false;
    if (op->kind == OP_POLL_RESULTS && op->outcome == OUTCOME_RECORDED)
        return base_votes(op) == probe->votes;
    return true;
}

static void judge_answers(const struct op *ops)
{
    for (size_t i = 0; i < run.base.probes_count; i++) {
        char detail[96];
        const struct probe *probe = &run.base.probes[i];
        if (ops[i].outcome == OUTCOME_UNAVAILABLE) run.progress->unavailable++;
        if (is_right(probe, &ops[i])) continue;
        snprintf(detail, sizeof detail, "%d of %d, which is %d of %" PRIu64, ops[i].outcome,
                 ops[i].kind, probe->outcome, probe->sequence);
        miss("the server answers", detail);
        return;
    }
}

static bool same_secrets(const struct secrets *a, const struct secrets *b)
{
    return memcmp(a->pepper, b->pepper, sizeof a->pepper) == 0 &&
           memcmp(a->receipt_key, b->receipt_key, sizeof a->receipt_key) == 0 &&
           memcmp(a->click_signing_key, b->click_signing_key, sizeof a->click_signing_key) == 0 &&
           a->token_keys_count == b->token_keys_count &&
           memcmp(a->token_keys[0].key.bytes, b->token_keys[0].key.bytes,
                  sizeof a->token_keys[0].key.bytes) == 0;
}

static void judge_server(void)
{
    struct store_options options;
    struct store *store = NULL;
    enum err err;
    char problem[STORE_PROBLEM_MAX] = "";
    base_options(&options, run.dir);
    if (store_open(&store, &options, problem)) {
        run.progress->refused++;
        if (!strstr(problem, run.dir)) miss("the server refuses without saying why:", problem);
        return;
    }
    uint64_t digest = base_keys_digest(store, &err);
    if (err) {
        run.progress->refused++; /* as the ledger does */
        store_close(store);
        return;
    }
    run.progress->served++;
    if (digest != run.base.keys_digest) miss("the server has", "other keys");
    if (!same_secrets(store_secrets(store), &run.base.secrets))
        miss("the server has", "other secrets");
    base_ask(&run.base, store, run.ops); /* a batch that fails is 503 for all */
    judge_answers(run.ops);
    store_close(store);
}

static void judge(void)
{
    alarm(HANG_S);
    base_write(&run.base, run.dir);
    judge_verify();
    base_write(&run.base, run.dir); /* verify only reads, but recovers the WAL's index */
    judge_server();
    run.progress->flips++;
}

/* -- damage -------------------------------------------------------------------------------- */

static unsigned bit_of(size_t at, unsigned nth)
{
    uint8_t key[HASH_FINGERPRINT_KEY_SIZE] = {0};
    uint64_t words[2] = {run.seed, at};
    return (unsigned)(hash_fingerprint(key, words, sizeof words) + nth) % 8;
}

/* What the rest of a file hangs on: its header, and of the database each page's. */
static bool is_vital(size_t at)
{
    if (run.choice == FILE_DB) return at < DB_HEADER || at % PAGE < PAGE_HEADER;
    return at < (run.choice >= FILE_INDEX_FIRST ? INDEX_LOG_HEADER_SIZE : WAL_HEADER);
}

static bool is_chosen(size_t at)
{
    if (at % run.parts != run.part) return false;
    return is_vital(at) || at / run.parts % run.stride == run.seed % run.stride;
}

static void flip_at(struct file *file, size_t at)
{
    for (unsigned nth = 0; is_chosen(at) && nth < run.bits; nth++) {
        run.progress->how = bit_of(at, nth);
        file->bytes[at] ^= (uint8_t)(1u << run.progress->how);
        judge();
        file->bytes[at] ^= (uint8_t)(1u << run.progress->how);
    }
}

enum { WIPED, NOISE, HOWS_COUNT };

static void spoil(uint8_t *bytes, size_t size, unsigned how)
{
    memset(bytes, 0, size);
    uint8_t key[HASH_FINGERPRINT_KEY_SIZE] = {0};
    for (size_t i = 0; how == NOISE && i < size; i++) {
        uint64_t words[3] = {run.seed, run.progress->at, i};
        bytes[i] = (uint8_t)hash_fingerprint(key, words, sizeof words);
    }
}

/* A sector with an end of the last transaction but one and the beginning of the last: nothing tells
 * that from the last one torn. */
static bool is_of_one(size_t at)
{
    size_t last = run.base.wal_last_at;
    return run.choice != FILE_WAL || at >= last || at + SECTOR <= last;
}

static void wipe_at(struct file *file, size_t at)
{
    uint8_t kept[SECTOR];
    if (at % SECTOR || at / SECTOR % run.parts != run.part || !is_of_one(at)) return;
    size_t size = file->size - at < SECTOR ? file->size - at : SECTOR;
    memcpy(kept, file->bytes + at, size);
    for (unsigned how = 0; how < HOWS_COUNT; how++) {
        run.progress->how = how;
        spoil(file->bytes + at, size, how);
        judge();
    }
    memcpy(file->bytes + at, kept, size);
}

/* Goes on behind what a child that died left. */
static void damage_all(size_t first)
{
    struct file *file = &run.base.files[run.choice];
    for (size_t at = first; at < file->size; at++) {
        run.progress->at = at;
        if (run.mode == WIPE_DB || run.mode == WIPE_WAL)
            wipe_at(file, at);
        else
            flip_at(file, at);
    }
}

/* -- what a power cut leaves --------------------------------------------------------------- */

static void judge_torn(void)
{
    uint64_t found = run.progress->found, refused = run.progress->refused;
    judge();
    if (run.progress->found > found) miss("verify takes a torn write", "for damage");
    if (run.progress->refused > refused) miss("the server takes a torn write", "for damage");
}

static void tear_all(size_t first)
{
    struct file *file = &run.base.files[FILE_WAL];
    size_t from = run.base.wal_last_at, size = file->size - from;
    uint8_t *kept = malloc(size);
    if (!kept) abort();
    memcpy(kept, file->bytes + from, size);
    for (size_t round = first; round < run.stride; round++) {
        uint8_t key[HASH_FINGERPRINT_KEY_SIZE] = {0};
        run.progress->at = from + round;
        for (size_t at = 0; at < size; at += SECTOR) {
            uint64_t words[3] = {run.seed, round, at};
            uint64_t random = hash_fingerprint(key, words, sizeof words);
            size_t len = size - at < SECTOR ? size - at : SECTOR;
            if (random % 3 < HOWS_COUNT) spoil(file->bytes + from + at, len, random % 3);
        }
        judge_torn();
        memcpy(file->bytes + from, kept, size);
    }
    free(kept);
}

/* -- what nobody can tell ------------------------------------------------------------------ */

static void forge(const char *sql)
{
    char path[PATH_CAP];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/adtally.db", run.dir);
    base_write(&run.base, run.dir);
    if (db_open(&db, path, false) || db_exec(db, sql)) abort();
    sqlite3_close(db);
    base_take(&run.base, run.dir);
    judge();
}

static void forge_all(void)
{
    forge("UPDATE poll SET question = 'Forged?', checksum = row_checksum('poll', poll_id,"
          " 'Forged?', cta_url, updated_at_ms, withdrawn_at_ms) WHERE poll_id = 8");
    forge("UPDATE feedback SET bid_id = 'bid-forged', checksum = row_checksum('feedback', seq,"
          " recorded_at_ms, 'bid-forged', impression_seq, feedback_type, feedback_text)"
          " WHERE seq = (SELECT max(seq) FROM feedback)");
}

/* -- together ------------------------------------------------------------------------------ */

static void work(size_t first)
{
    if (run.mode == TORN)
        tear_all(first);
    else if (run.mode == FORGED)
        forge_all();
    else
        damage_all(first);
    run.progress->is_done = true;
}

static void be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY);
    if (fd >= 0) dup2(fd, STDERR_FILENO);
}

/* The children's way through all flips; each that dies is a miss and another goes on behind it. */
static void run_children(void)
{
    size_t first = 0;
    while (!run.progress->is_done) {
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            if (!getenv("FLIP_LOUD")) be_quiet();
            work(first);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) < 0) abort();
        if (run.progress->is_done) break;
        char detail[32];
        snprintf(detail, sizeof detail, "(status %x)", (unsigned)status);
        miss("crash or hang", detail);
        first = run.progress->at + 1;
    }
}

static const struct {
    const char *name;
    int choice;
} modes[MODES_COUNT] = {
    [FLIP_DB] = {"db", FILE_DB},
    [FLIP_DB_SCANNED] = {"db-scanned", FILE_DB},
    [FLIP_WAL] = {"wal", FILE_WAL},
    [FLIP_SECRETS] = {"secrets", FILE_SECRETS},
    [FLIP_CLICKS] = {"index-clicks", FILE_INDEX_CLICKS},
    [FLIP_BIDS] = {"index-bids", FILE_INDEX_BIDS},
    [FLIP_EVENTS] = {"index-events", FILE_INDEX_EVENTS},
    [FLIP_VOTES] = {"index-votes", FILE_INDEX_VOTES},
    [WIPE_DB] = {"db-sectors", FILE_DB},
    [WIPE_WAL] = {"wal-sectors", FILE_WAL},
    [TORN] = {"torn", FILE_WAL},
    [FORGED] = {"forged", FILE_DB},
};

static bool read_arguments(int argc, char **argv)
{
    if (argc != 6 && argc != 8) return false;
    while (run.mode < MODES_COUNT && strcmp(modes[run.mode].name, argv[2]) != 0)
        run.mode++;
    if (run.mode == MODES_COUNT) return false;
    run.dir = argv[1];
    run.choice = modes[run.mode].choice;
    run.seed = strtoull(argv[3], NULL, 10);
    run.stride = strtoull(argv[4], NULL, 10);
    run.bits = (unsigned)strtoul(argv[5], NULL, 10);
    run.part = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
    run.parts = argc > 6 ? strtoull(argv[7], NULL, 10) : 1;
    return run.stride && run.parts;
}

int main(int argc, char **argv)
{
    if (!read_arguments(argc, argv)) {
        fprintf(stderr, "usage: flip DIR MODE SEED STRIDE BITS [PART PARTS]\n");
        return 2;
    }
    hash_start();
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* a start's large tables: fresh pages, not cleared ones */
    run.ops = calloc(PROBES_MAX, sizeof *run.ops);
    run.progress =
        mmap(NULL, sizeof *run.progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!run.ops || run.progress == MAP_FAILED) return 2;
    base_make(&run.base, run.dir, run.choice == FILE_WAL, run.seed);
    if (run.mode == FLIP_DB_SCANNED || run.mode == FORGED) base_drop_logs(&run.base);
    run_children();
    const struct progress *p = run.progress;
    printf("bytes %zu flips %" PRIu64 " found %" PRIu64 " unchanged %" PRIu64 " older %" PRIu64
           " refused %" PRIu64 " served %" PRIu64 " unavailable %" PRIu64 " misses %" PRIu64 "\n",
           run.base.files[run.choice].size, p->flips, p->found, p->unchanged, p->older, p->refused,
           p->served, p->unavailable, p->misses);
    return p->misses ? 1 : 0;
}
