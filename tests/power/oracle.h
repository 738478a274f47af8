#pragma once

#include "plan.h"

/* What must be in the store, by what it said: a list of the rows that stand, searched from end to
 * end. It knows nothing of files. Every batch is foretold before it is sent, op by op; when the
 * store answers, the answers must be these; when it does not, the batch stands wholly or not at
 * all, and the next life shows which. */

enum {
    ORACLE_EVENTS_MAX = 3000,
    ORACLE_ERASED_MAX = PLAN_BATCH_MAX * PLAN_ERASE_MAX,
    ORACLE_CANDIDATES_MAX = 8,
    ORACLE_ATTEMPTS_MAX = 4 * PLAN_BATCH_MAX
};

/* `outcome` OUTCOME_PENDING: the store may say what it likes. */
struct foretold {
    enum outcome outcome;
    uint64_t sequence;
    uint64_t votes[PLAN_POLL_OPTIONS];
    bool has_votes;
};

struct row {
    uint64_t sequence;
    int event;
    bool is_erased; /* nothing in it says any more whose it is */
};

/* What retention took of each table: how many rows, all of them below a sequence. */
struct removals {
    uint64_t rows[EVENT_TABLES], below[EVENT_TABLES];
};

/* What is not in rows of its own. */
struct texts {
    struct {
        bool exists, is_withdrawn;
        int options, text;
    } polls[PLAN_POLLS];
    struct {
        bool exists, is_revoked;
    } keys[PLAN_KEYS];
};

struct token_list {
    struct token_key keys[TOKEN_KEYS_MAX];
    uint32_t count;
};

/* A batch that was not acknowledged. */
struct candidate {
    struct row rows[PLAN_BATCH_MAX];
    size_t rows_count;
    struct texts texts;
    uint64_t erased[ORACLE_ERASED_MAX]; /* sequences of rows that stood before */
    size_t erased_count;
    bool removes; /* nobody knows what */
};

struct oracle {
    struct event events[ORACLE_EVENTS_MAX];
    int events_count;
    int clicks[ORACLE_EVENTS_MAX]; /* events that conversions may name */
    int clicks_count;
    int era;
    struct row rows[ORACLE_EVENTS_MAX]; /* in the order of their sequences */
    size_t rows_count;
    struct removals removals;
    uint64_t removed_last; /* the highest sequence among them */
    struct texts texts;
    struct candidate candidates[ORACLE_CANDIDATES_MAX];
    size_t candidates_count;

    bool secrets_known; /* since the first start that was told to be ready */
    struct secrets secrets;
    struct token_list tokens;
    struct token_list token_attempts[ORACLE_ATTEMPTS_MAX]; /* any of them may be in the file */
    size_t token_attempts_count;

    struct { /* the batch under way */
        size_t rows_count;
        struct texts texts;
        struct token_list tokens;
        uint64_t erased[ORACLE_ERASED_MAX];
        size_t erased_count;
        bool removes;
        bool writes;
        bool may_fail; /* calls are made to fail: token keys by themselves, the rest as a whole */
    } batch;
};

void oracle_start(struct oracle *oracle);

/* A new event; its index. */
int oracle_add(struct oracle *oracle, enum op_kind kind);
int oracle_add_any(struct oracle *oracle);

/* Everything that stands is old from here on, and is neither asked for again nor pointed at, but
 * for what is never forgotten. The caller lets PLAN_ERA_DAYS pass. */
void oracle_next_era(struct oracle *oracle);
bool oracle_is_remembered(const struct oracle *oracle, int event);

bool oracle_is_token_change(const struct oracle *oracle, int event);

/* A batch: begin, foretell each op in order, then it is acknowledged or not. */
void oracle_begin(struct oracle *oracle, bool may_fail);
void oracle_foretell(struct oracle *oracle, const struct request *request, struct foretold *out);
void oracle_acknowledged(struct oracle *oracle);
void oracle_given_up(struct oracle *oracle);

/* What a new life shows. Each says what is wrong through complain() and returns false. */
struct seen_row {
    enum op_kind kind;
    uint64_t sequence;
    int number;
    bool is_whole; /* its payload is that of the number; of an erased row nothing is known */
};
bool oracle_check_rows(struct oracle *oracle, const struct seen_row *rows, size_t count,
                       const struct texts *texts, const struct removals *removals);

/* After a batch that removed rows and was acknowledged: which ones it says they were. */
bool oracle_check_removals(struct oracle *oracle, const struct removals *removals);
bool oracle_check_secrets(struct oracle *oracle, const struct secrets *secrets);

/* After a failed batch of the same life: token keys are durable one by one. */
bool oracle_check_token_keys(struct oracle *oracle, const struct secrets *secrets);

uint64_t oracle_next_sequence(const struct oracle *oracle);
bool oracle_stands(const struct oracle *oracle, int event);
uint64_t oracle_sequence_of(const struct oracle *oracle, int event); /* 0: it does not stand */

bool oracle_is_same_tokens(const struct token_list *a, const struct token_list *b);
