#include "base.h"

#include "base/clock.h"
#include "token/hash.h"

#include <errno.h>
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

/* Flips bytes of a database and asks `verify` and the server what they make of it.
 *
 *   flip DIR FILE SEED STRIDE BITS [PART PARTS]
 *
 * FILE is db, wal or secrets; DIR an empty directory. Every STRIDE-th byte, and all of the first
 * page, has BITS different bits flipped, one at a time. Each time
 *   - verify has to report something, or the rows are what they were;
 *   - a start refuses with a sentence, or every answer is that of the undamaged store, or 503.
 * The work is done in a child: one that dies or hangs is a miss as well. */

enum { HANG_S = 60, MISSES_TOLD_MAX = 20, FIRST_PAGE = 4096 };

/* Shared with the child. */
struct progress {
    size_t at;    /* the byte */
    unsigned bit; /* of it */
    bool is_done;
    uint64_t flips, found, unchanged, refused, served, unavailable, misses, older;
};

struct run {
    struct base base;
    const char *dir;
    int choice;
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
        printf("MISS %s byte %zu bit %u: %s %s\n", run.base.files[run.choice].name,
               run.progress->at, run.progress->bit, what, detail);
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
    if (memcmp(store_secrets(store), &run.base.secrets, sizeof run.base.secrets) != 0)
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

/* -- which flips --------------------------------------------------------------------------- */

static unsigned bit_of(size_t at, unsigned nth)
{
    uint8_t key[HASH_FINGERPRINT_KEY_SIZE] = {0};
    uint64_t words[2] = {run.seed, at};
    return (unsigned)(hash_fingerprint(key, words, sizeof words) + nth) % 8;
}

static bool is_chosen(size_t at)
{
    if (at % run.parts != run.part) return false;
    size_t offset = run.seed % run.stride;
    return at < FIRST_PAGE || at / run.parts % run.stride == offset;
}

/* Goes on behind `progress`, which a child that died left. */
static void flip_all(size_t first)
{
    struct file *file = &run.base.files[run.choice];
    for (size_t at = first; at < file->size; at++) {
        if (!is_chosen(at)) continue;
        for (unsigned nth = 0; nth < run.bits; nth++) {
            run.progress->at = at;
            run.progress->bit = bit_of(at, nth);
            file->bytes[at] ^= (uint8_t)(1u << run.progress->bit);
            judge();
            file->bytes[at] ^= (uint8_t)(1u << run.progress->bit);
        }
    }
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
            flip_all(first);
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

static int choice_of(const char *name)
{
    return strcmp(name, "db") == 0 ? FILE_DB : strcmp(name, "wal") == 0 ? FILE_WAL : FILE_SECRETS;
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: flip DIR db|wal|secrets SEED STRIDE BITS [PART PARTS]\n");
        return 2;
    }
    hash_start();
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* a start's large tables: fresh pages, not cleared ones */
    run.dir = argv[1];
    run.choice = choice_of(argv[2]);
    run.seed = strtoull(argv[3], NULL, 10);
    run.stride = strtoull(argv[4], NULL, 10);
    run.bits = (unsigned)strtoul(argv[5], NULL, 10);
    run.part = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
    run.parts = argc > 6 ? strtoull(argv[7], NULL, 10) : 1;
    run.ops = calloc(PROBES_MAX, sizeof *run.ops);
    run.progress =
        mmap(NULL, sizeof *run.progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!run.ops || run.progress == MAP_FAILED || !run.stride || !run.parts) return 2;
    base_make(&run.base, run.dir, run.choice == FILE_WAL, run.seed);
    run_children();
    const struct progress *p = run.progress;
    printf("bytes %zu flips %" PRIu64 " found %" PRIu64 " unchanged %" PRIu64 " older %" PRIu64
           " refused %" PRIu64 " served %" PRIu64 " unavailable %" PRIu64 " misses %" PRIu64 "\n",
           run.base.files[run.choice].size, p->flips, p->found, p->unchanged, p->older, p->refused,
           p->served, p->unavailable, p->misses);
    return p->misses ? 1 : 0;
}
