#include "oracle.h"

#include "complain.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

void oracle_start(struct oracle *oracle)
{
    memset(oracle, 0, sizeof *oracle);
}

static int note_added(struct oracle *oracle)
{
    int index = oracle->events_count++;
    if (oracle->events_count == ORACLE_EVENTS_MAX) abort();
    if (oracle->events[index].kind == OP_CLICK) oracle->clicks[oracle->clicks_count++] = index;
    return index;
}

/* Of one table some rows that stand; ad-feedback's get another session, which answers depend on
 * (tests/data). */
static void choose_rows(const struct oracle *oracle, struct event *event)
{
    for (int tries = 0; tries < 2 * PLAN_ERASE_MAX && oracle->rows_count; tries++) {
        const struct row *row = &oracle->rows[world_roll(oracle->rows_count)];
        enum op_kind table = oracle->events[row->event].kind;
        if (!event->erase.rows_count && table != OP_AD_FEEDBACK) event->erase.table = table;
        if (table != event->erase.table || event->erase.rows_count == PLAN_ERASE_MAX ||
            table == OP_AD_FEEDBACK)
            continue;
        event->erase.rows[event->erase.rows_count++] = row->sequence;
    }
}

int oracle_add(struct oracle *oracle, enum op_kind kind)
{
    struct event *event = &oracle->events[oracle->events_count];
    plan_event_of(event, kind, oracle->events_count, oracle->era, oracle->clicks,
                  oracle->clicks_count);
    if (kind == OP_ERASE) choose_rows(oracle, event);
    return note_added(oracle);
}

int oracle_add_any(struct oracle *oracle)
{
    struct event *event = &oracle->events[oracle->events_count];
    plan_event(event, oracle->events_count, oracle->era, oracle->clicks, oracle->clicks_count);
    if (event->kind == OP_ERASE) choose_rows(oracle, event);
    return note_added(oracle);
}

void oracle_next_era(struct oracle *oracle)
{
    oracle->era++;
    oracle->clicks_count = 0;
}

/* A bid votes once for ever. */
bool oracle_is_remembered(const struct oracle *oracle, int event)
{
    return oracle->events[event].era == oracle->era || oracle->events[event].kind >= OP_VOTE;
}

bool oracle_is_token_change(const struct oracle *oracle, int event)
{
    enum op_kind kind = oracle->events[event].kind;
    return kind == OP_TOKEN_KEY_ROTATE || kind == OP_TOKEN_KEY_RETIRE;
}

uint64_t oracle_next_sequence(const struct oracle *oracle)
{
    uint64_t last = oracle->rows_count ? oracle->rows[oracle->rows_count - 1].sequence : 0;
    return (last > oracle->removed_last ? last : oracle->removed_last) + 1;
}

uint64_t oracle_sequence_of(const struct oracle *oracle, int event)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        if (oracle->rows[i].event == event) return oracle->rows[i].sequence;
    return 0;
}

bool oracle_stands(const struct oracle *oracle, int event)
{
    return oracle_sequence_of(oracle, event) != 0;
}

/* -- batches -------------------------------------------------------------------------------- */

static bool is_same_token(const struct token_key *a, const struct token_key *b)
{
    return memcmp(a->kid, b->kid, sizeof a->kid) == 0 &&
           memcmp(a->key.bytes, b->key.bytes, sizeof a->key.bytes) == 0;
}

bool oracle_is_same_tokens(const struct token_list *a, const struct token_list *b)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!is_same_token(&a->keys[i], &b->keys[i])) return false;
    return true;
}

static void mark_erased(struct oracle *oracle, const uint64_t *sequences, size_t count, bool erased)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        for (size_t n = 0; n < count; n++)
            if (oracle->rows[i].sequence == sequences[n]) oracle->rows[i].is_erased = erased;
}

void oracle_begin(struct oracle *oracle, bool may_fail)
{
    oracle->batch.may_fail = may_fail;
    oracle->batch.rows_count = oracle->rows_count;
    oracle->batch.texts = oracle->texts;
    oracle->batch.tokens = oracle->tokens;
    oracle->batch.writes = oracle->batch.removes = false;
    oracle->batch.erased_count = 0;
}

/* What was written after a batch that failed lies over it: it can come back no more. */
void oracle_acknowledged(struct oracle *oracle)
{
    if (oracle->batch.writes) oracle->candidates_count = 0;
    if (oracle->batch.may_fail || oracle_is_same_tokens(&oracle->tokens, &oracle->batch.tokens))
        return;
    oracle->tokens = oracle->batch.tokens;
    oracle->token_attempts_count = 0;
}

void oracle_given_up(struct oracle *oracle)
{
    if (oracle->candidates_count == ORACLE_CANDIDATES_MAX) abort();
    struct candidate *candidate = &oracle->candidates[oracle->candidates_count];
    candidate->rows_count = oracle->rows_count - oracle->batch.rows_count;
    memcpy(candidate->rows, &oracle->rows[oracle->batch.rows_count],
           candidate->rows_count * sizeof candidate->rows[0]);
    candidate->texts = oracle->texts;
    candidate->erased_count = oracle->batch.erased_count;
    memcpy(candidate->erased, oracle->batch.erased, sizeof candidate->erased);
    candidate->removes = oracle->batch.removes;
    oracle->candidates_count += oracle->batch.writes || oracle->batch.removes;
    oracle->rows_count = oracle->batch.rows_count;
    mark_erased(oracle, oracle->batch.erased, oracle->batch.erased_count, false);
    oracle->texts = oracle->batch.texts;
}

/* -- checking ------------------------------------------------------------------------------ */

static bool is_same_texts(const struct texts *a, const struct texts *b)
{
    for (int i = 0; i < PLAN_POLLS; i++) {
        if (a->polls[i].exists != b->polls[i].exists) return false;
        if (!a->polls[i].exists) continue;
        if (a->polls[i].is_withdrawn != b->polls[i].is_withdrawn ||
            a->polls[i].options != b->polls[i].options || a->polls[i].text != b->polls[i].text)
            return false;
    }
    for (int i = 0; i < PLAN_KEYS; i++)
        if (a->keys[i].exists != b->keys[i].exists ||
            a->keys[i].is_revoked != b->keys[i].is_revoked)
            return false;
    return true;
}

static bool is_row(const struct seen_row *seen, const struct row *row)
{
    return seen->sequence == row->sequence &&
           seen->number == (row->is_erased ? PLAN_NONE : row->event);
}

static bool are_rows(const struct seen_row *seen, size_t count, const struct row *rows)
{
    for (size_t i = 0; i < count; i++)
        if (!is_row(&seen[i], &rows[i])) return false;
    return true;
}

static bool is_seen(const struct seen_row *seen, size_t count, const struct row *row)
{
    for (size_t i = 0; i < count; i++)
        if (is_row(&seen[i], row)) return true;
    return false;
}

static bool is_known(const struct oracle *oracle, const struct seen_row *seen)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        if (is_row(seen, &oracle->rows[i])) return true;
    for (size_t c = 0; c < oracle->candidates_count; c++)
        for (size_t i = 0; i < oracle->candidates[c].rows_count; i++)
            if (is_row(seen, &oracle->candidates[c].rows[i])) return true;
    return false;
}

/* Another row of this number is there; one that is known may well be sent and recorded again. */
static bool is_twice(const struct seen_row *seen, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (i != at && seen[i].number == seen[at].number && seen[at].number != PLAN_NONE)
            return true;
    return false;
}

/* No known state fits: says how. */
static bool complain_of_rows(struct oracle *oracle, const struct seen_row *seen, size_t count)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        findings.lost += !is_seen(seen, count, &oracle->rows[i]);
    for (size_t i = 0; i < count; i++) {
        if (is_known(oracle, &seen[i])) continue;
        bool twice = is_twice(seen, count, i);
        findings.doubled += twice;
        findings.phantom += !twice;
    }
    findings.other += !findings.lost && !findings.doubled && !findings.phantom;
    return complain("%zu rows, %zu acknowledged: %llu lost, %llu doubled, %llu phantom%s", count,
                    oracle->rows_count, (unsigned long long)findings.lost,
                    (unsigned long long)findings.doubled, (unsigned long long)findings.phantom,
                    findings.other ? ", or polls or keys differ, or half a batch stands" : "");
}

static bool check_content(const struct oracle *oracle, const struct seen_row *seen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (seen[i].number == PLAN_NONE) continue; /* erased, or are_rows finds it */
        if (seen[i].number < 0 || seen[i].number >= oracle->events_count ||
            oracle->events[seen[i].number].kind != seen[i].kind) {
            findings.phantom++;
            return complain("row %llu was never sent", (unsigned long long)seen[i].sequence);
        }
        if (!seen[i].is_whole) {
            findings.other++;
            return complain("row %llu has another content", (unsigned long long)seen[i].sequence);
        }
    }
    return true;
}

/* -- what retention took -------------------------------------------------------------------- */

static bool is_below(const struct oracle *oracle, const struct row *row,
                     const struct removals *removals)
{
    return row->sequence < removals->below[oracle->events[row->event].kind];
}

static bool complain_of_removal(const char *what, uint64_t sequence)
{
    findings.lost++;
    return complain("retention took %s: %llu", what, (unsigned long long)sequence);
}

/* Only what is old goes, never a vote, and it is counted. */
static bool forget_rows(struct oracle *oracle, const struct removals *removals)
{
    struct removals counted = oracle->removals;
    size_t left = 0;
    for (size_t i = 0; i < oracle->rows_count; i++) {
        const struct row *row = &oracle->rows[i];
        const struct event *event = &oracle->events[row->event];
        if (!is_below(oracle, row, removals)) {
            oracle->rows[left++] = *row;
            continue;
        }
        if (event->era == oracle->era || event->kind == OP_VOTE)
            return complain_of_removal("what is young", row->sequence);
        counted.rows[event->kind]++;
        if (row->sequence > oracle->removed_last) oracle->removed_last = row->sequence;
    }
    oracle->rows_count = left;
    oracle->removals = *removals;
    if (memcmp(counted.rows, removals->rows, sizeof counted.rows) == 0) return true;
    return complain_of_removal("other rows than it counted, below", removals->below[OP_CLICK]);
}

static bool is_same_removals(const struct removals *a, const struct removals *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool oracle_check_removals(struct oracle *oracle, const struct removals *removals)
{
    if (is_same_removals(&oracle->removals, removals)) return true;
    oracle->candidates_count = 0;
    return forget_rows(oracle, removals);
}

/* A batch that nobody acknowledged may have removed rows. */
static bool check_removals_of_start(struct oracle *oracle, const struct removals *removals)
{
    bool may_have = is_same_removals(&oracle->removals, removals);
    for (size_t c = 0; c < oracle->candidates_count; c++)
        may_have |= oracle->candidates[c].removes;
    return may_have
               ? forget_rows(oracle, removals)
               : complain_of_removal("what it was not asked to, below", removals->below[OP_CLICK]);
}

static bool is_candidate(struct oracle *oracle, const struct candidate *candidate,
                         const struct seen_row *seen, size_t count, const struct texts *texts)
{
    size_t base = oracle->rows_count;
    mark_erased(oracle, candidate->erased, candidate->erased_count, true);
    if (count == base + candidate->rows_count && are_rows(seen, base, oracle->rows) &&
        are_rows(seen + base, candidate->rows_count, candidate->rows) &&
        is_same_texts(texts, &candidate->texts))
        return true;
    mark_erased(oracle, candidate->erased, candidate->erased_count, false);
    return false;
}

bool oracle_check_rows(struct oracle *oracle, const struct seen_row *seen, size_t count,
                       const struct texts *texts, const struct removals *removals)
{
    if (!check_removals_of_start(oracle, removals) || !check_content(oracle, seen, count))
        return false;
    size_t base = oracle->rows_count;
    bool found =
        count == base && are_rows(seen, base, oracle->rows) && is_same_texts(texts, &oracle->texts);
    for (size_t c = 0; c < oracle->candidates_count && !found; c++) {
        const struct candidate *candidate = &oracle->candidates[c];
        found = is_candidate(oracle, candidate, seen, count, texts);
        if (!found) continue;
        memcpy(&oracle->rows[base], candidate->rows,
               candidate->rows_count * sizeof candidate->rows[0]);
        oracle->rows_count = count;
    }
    if (!found) return complain_of_rows(oracle, seen, count);
    oracle->texts = *texts;
    oracle->candidates_count = 0;
    return true;
}

static void take_list(struct token_list *list, const struct secrets *secrets)
{
    memset(list, 0, sizeof *list);
    list->count = secrets->token_keys_count;
    for (uint32_t i = 0; i < list->count; i++)
        list->keys[i] = secrets->token_keys[i];
}

bool oracle_check_token_keys(struct oracle *oracle, const struct secrets *secrets)
{
    struct token_list list;
    take_list(&list, secrets);
    bool found = oracle_is_same_tokens(&list, &oracle->tokens);
    for (size_t i = 0; i < oracle->token_attempts_count && !found; i++)
        found = oracle_is_same_tokens(&list, &oracle->token_attempts[i]);
    if (found) {
        oracle->tokens = list;
        return true;
    }
    findings.lost++;
    return complain("the token keys are none of those that were acknowledged or tried");
}

bool oracle_check_secrets(struct oracle *oracle, const struct secrets *secrets)
{
    if (!oracle->secrets_known) {
        oracle->secrets_known = true;
        oracle->secrets = *secrets;
        take_list(&oracle->tokens, secrets);
        return true;
    }
    const struct secrets *known = &oracle->secrets;
    if (memcmp(known->pepper, secrets->pepper, sizeof known->pepper) != 0 ||
        memcmp(known->receipt_key, secrets->receipt_key, sizeof known->receipt_key) != 0 ||
        memcmp(known->click_signing_key, secrets->click_signing_key,
               sizeof known->click_signing_key) != 0) {
        findings.lost++;
        return complain("the secrets are others");
    }
    if (!oracle_check_token_keys(oracle, secrets)) return false;
    oracle->token_attempts_count = 0;
    return true;
}
