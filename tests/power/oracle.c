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

static uint64_t sequence_of(const struct oracle *oracle, int event)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        if (oracle->rows[i].event == event) return oracle->rows[i].sequence;
    return 0;
}

bool oracle_stands(const struct oracle *oracle, int event)
{
    return sequence_of(oracle, event) != 0;
}

/* -- foretelling --------------------------------------------------------------------------- */

typedef bool is_match(const struct event *stands, const struct event *asked);

static uint64_t first_match(const struct oracle *oracle, const struct event *asked, is_match *match)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        if (match(&oracle->events[oracle->rows[i].event], asked)) return oracle->rows[i].sequence;
    return 0;
}

static uint64_t count_matches(const struct oracle *oracle, const struct event *asked,
                              is_match *match)
{
    uint64_t count = 0;
    for (size_t i = 0; i < oracle->rows_count; i++)
        count += match(&oracle->events[oracle->rows[i].event], asked);
    return count;
}

static bool is_click_of_bid(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_CLICK && stands->bid == asked->bid;
}

static bool is_same_conversion_scope(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_CONVERSION && stands->click == asked->click &&
           stands->partner == asked->partner && stands->type == asked->type;
}

static bool has_conversion_key(const struct event *stands, const struct event *asked)
{
    return asked->key != PLAN_NONE && stands->key == asked->key &&
           is_same_conversion_scope(stands, asked);
}

static bool has_order(const struct event *stands, const struct event *asked)
{
    return asked->order != PLAN_NONE && stands->order == asked->order &&
           is_same_conversion_scope(stands, asked);
}

static bool has_event_key(const struct event *stands, const struct event *asked)
{
    return asked->key != PLAN_NONE && stands->kind == OP_SERVER_EVENT &&
           stands->key == asked->key && stands->type == asked->type &&
           stands->partner == asked->partner;
}

static bool is_impression(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_IMPRESSION && stands->bid == asked->bid;
}

static bool is_feedback(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_FEEDBACK && stands->bid == asked->bid;
}

static bool is_vote_of_bid(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_VOTE && stands->bid == asked->bid;
}

static bool is_ad_feedback_of_bid(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_AD_FEEDBACK && stands->bid == asked->bid;
}

static bool is_of_session_minute(const struct event *stands, const struct event *asked)
{
    return stands->kind == OP_AD_FEEDBACK && stands->session == asked->session &&
           stands->at_ms > world_now_ms() - 60000;
}

static void record(struct oracle *oracle, int event, struct foretold *out)
{
    out->outcome = OUTCOME_RECORDED;
    out->sequence = oracle_next_sequence(oracle);
    oracle->rows[oracle->rows_count++] = (struct row){.sequence = out->sequence, .event = event};
    oracle->events[event].at_ms = world_now_ms();
    oracle->batch.writes = true;
}

static bool is_duplicate(uint64_t of, struct foretold *out)
{
    if (!of) return false;
    out->outcome = OUTCOME_DUPLICATE;
    out->sequence = of;
    return true;
}

/* One from elsewhere has the id that it had there. */
static void foretell_click(struct oracle *oracle, int event, struct foretold *out)
{
    const struct event *asked = &oracle->events[event];
    if (asked->is_import && is_duplicate(sequence_of(oracle, event), out)) return;
    if (asked->bid != PLAN_NONE && count_matches(oracle, asked, is_click_of_bid) >= 100)
        out->outcome = OUTCOME_LIMITED;
    else
        record(oracle, event, out);
}

static void foretell_conversion(struct oracle *oracle, int event, struct foretold *out)
{
    const struct event *asked = &oracle->events[event];
    out->outcome = OUTCOME_NOT_FOUND;
    if (asked->click == PLAN_NONE || !oracle_stands(oracle, asked->click)) return;
    out->outcome = OUTCOME_MISSING_BID;
    if (oracle->events[asked->click].bid == PLAN_NONE) return;
    if (is_duplicate(first_match(oracle, asked, has_conversion_key), out)) return;
    if (asked->check_order && is_duplicate(first_match(oracle, asked, has_order), out)) return;
    record(oracle, event, out);
}

static void foretell_feedback(struct oracle *oracle, int event, struct foretold *out)
{
    const struct event *asked = &oracle->events[event];
    out->outcome = OUTCOME_NOT_FOUND;
    if (!first_match(oracle, asked, is_impression)) return;
    if (!is_duplicate(first_match(oracle, asked, is_feedback), out)) record(oracle, event, out);
}

static void foretell_ad_feedback(struct oracle *oracle, int event, struct foretold *out)
{
    const struct event *asked = &oracle->events[event];
    for (size_t i = oracle->rows_count; i > 0; i--) { /* the session's latest on that bid */
        const struct event *stands = &oracle->events[oracle->rows[i - 1].event];
        if (!is_ad_feedback_of_bid(stands, asked) || stands->session != asked->session) continue;
        if (stands->mood == asked->mood && is_duplicate(oracle->rows[i - 1].sequence, out)) return;
        break;
    }
    out->outcome = OUTCOME_LIMITED;
    if (count_matches(oracle, asked, is_of_session_minute) >= 30) return;
    if (count_matches(oracle, asked, is_ad_feedback_of_bid) >= 100) return;
    record(oracle, event, out);
}

static void count_votes(const struct oracle *oracle, int poll, uint64_t votes[PLAN_POLL_OPTIONS])
{
    memset(votes, 0, PLAN_POLL_OPTIONS * sizeof *votes);
    for (size_t i = 0; i < oracle->rows_count; i++) {
        const struct event *stands = &oracle->events[oracle->rows[i].event];
        if (stands->kind == OP_VOTE && stands->poll == poll) votes[stands->option]++;
    }
}

static void foretell_vote(struct oracle *oracle, int event, struct foretold *out)
{
    const struct event *asked = &oracle->events[event];
    out->outcome = OUTCOME_NOT_FOUND;
    if (!oracle->texts.polls[asked->poll].exists || oracle->texts.polls[asked->poll].is_withdrawn)
        return;
    if (asked->kind == OP_VOTE) {
        out->outcome = OUTCOME_BAD_OPTION;
        if (asked->option >= oracle->texts.polls[asked->poll].options) return;
        if (is_duplicate(first_match(oracle, asked, is_vote_of_bid), out)) return;
        record(oracle, event, out);
    }
    out->outcome = OUTCOME_RECORDED;
    out->has_votes = true;
    count_votes(oracle, asked->poll, out->votes);
}

static void foretell_poll_put(struct oracle *oracle, const struct event *asked,
                              struct foretold *out)
{
    uint64_t votes[PLAN_POLL_OPTIONS];
    count_votes(oracle, asked->poll, votes);
    out->outcome = OUTCOME_CONFLICT;
    for (int i = asked->option; i < PLAN_POLL_OPTIONS; i++)
        if (votes[i]) return;
    out->outcome = OUTCOME_RECORDED;
    oracle->texts.polls[asked->poll].exists = true;
    oracle->texts.polls[asked->poll].is_withdrawn = false;
    oracle->texts.polls[asked->poll].options = asked->option;
    oracle->texts.polls[asked->poll].text = asked->number;
    oracle->batch.writes = true;
}

static void foretell_withdraw(struct oracle *oracle, const struct event *asked,
                              struct foretold *out)
{
    out->outcome = OUTCOME_NOT_FOUND;
    if (!oracle->texts.polls[asked->poll].exists) return;
    oracle->texts.polls[asked->poll].is_withdrawn = true;
    out->outcome = OUTCOME_RECORDED;
    oracle->batch.writes = true;
}

static void foretell_api_key(struct oracle *oracle, const struct event *asked, struct foretold *out)
{
    bool creates = asked->kind == OP_KEY_CREATE;
    bool exists = oracle->texts.keys[asked->key].exists;
    if (creates == exists) {
        out->outcome = creates ? OUTCOME_CONFLICT : OUTCOME_NOT_FOUND;
        return;
    }
    out->outcome = OUTCOME_RECORDED;
    oracle->texts.keys[asked->key].exists = true;
    oracle->texts.keys[asked->key].is_revoked = !creates;
    oracle->batch.writes = true;
}

static struct row *find_row(struct oracle *oracle, enum op_kind table, uint64_t sequence)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        if (oracle->rows[i].sequence == sequence &&
            oracle->events[oracle->rows[i].event].kind == table)
            return &oracle->rows[i];
    return NULL;
}

static void foretell_erase(struct oracle *oracle, const struct event *asked, struct foretold *out)
{
    out->outcome = OUTCOME_RECORDED;
    for (uint32_t i = 0; i < asked->erase.rows_count; i++) {
        struct row *row = find_row(oracle, asked->erase.table, asked->erase.rows[i]);
        if (!row || row->is_erased) continue;
        row->is_erased = true;
        oracle->batch.writes = true;
        if (row < &oracle->rows[oracle->batch.rows_count])
            oracle->batch.erased[oracle->batch.erased_count++] = row->sequence;
    }
}

static void mark_erased(struct oracle *oracle, const uint64_t *sequences, size_t count, bool erased)
{
    for (size_t i = 0; i < oracle->rows_count; i++)
        for (size_t n = 0; n < count; n++)
            if (oracle->rows[i].sequence == sequences[n]) oracle->rows[i].is_erased = erased;
}

static enum outcome retire(struct token_list *list, const struct token_key *key)
{
    uint32_t at = 0;
    while (at < list->count && memcmp(list->keys[at].kid, key->kid, TOKEN_KID_LEN) != 0)
        at++;
    if (at == list->count) return OUTCOME_NOT_FOUND;
    if (at + 1 == list->count) return OUTCOME_CONFLICT;
    memmove(&list->keys[at], &list->keys[at + 1], (list->count - at - 1) * sizeof list->keys[0]);
    list->count--;
    return OUTCOME_RECORDED;
}

static enum outcome rotate(struct token_list *list, const struct token_key *key)
{
    if (list->count == TOKEN_KEYS_MAX) return OUTCOME_LIMITED;
    list->keys[list->count++] = *key;
    return OUTCOME_RECORDED;
}

static bool is_same_token(const struct token_key *a, const struct token_key *b)
{
    return memcmp(a->kid, b->kid, sizeof a->kid) == 0 &&
           memcmp(a->key.bytes, b->key.bytes, sizeof a->key.bytes) == 0;
}

static bool is_same_tokens(const struct token_list *a, const struct token_list *b)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!is_same_token(&a->keys[i], &b->keys[i])) return false;
    return true;
}

static enum outcome change_tokens(struct token_list *list, const struct request *request)
{
    const struct token_key *key = &request->op.token_key;
    return request->op.kind == OP_TOKEN_KEY_ROTATE ? rotate(list, key) : retire(list, key);
}

static void note_attempt(struct oracle *oracle, const struct token_list *list)
{
    for (size_t i = 0; i < oracle->token_attempts_count; i++)
        if (is_same_tokens(&oracle->token_attempts[i], list)) return;
    if (oracle->token_attempts_count == ORACLE_ATTEMPTS_MAX) abort();
    oracle->token_attempts[oracle->token_attempts_count++] = *list;
}

/* Where calls fail, this one may be refused and a later one of the batch not: any of them may be
 * the first that counts. */
static void note_attempts_by_themselves(struct oracle *oracle, const struct request *request)
{
    size_t count = oracle->token_attempts_count;
    for (size_t i = 0; i <= count; i++) {
        struct token_list list = i < count ? oracle->token_attempts[i] : oracle->tokens;
        if (change_tokens(&list, request) == OUTCOME_RECORDED) note_attempt(oracle, &list);
    }
}

static void foretell_token_key(struct oracle *oracle, const struct request *request,
                               struct foretold *out)
{
    if (oracle->batch.may_fail) note_attempts_by_themselves(oracle, request);
    out->outcome = change_tokens(&oracle->batch.tokens, request);
    if (out->outcome == OUTCOME_RECORDED) note_attempt(oracle, &oracle->batch.tokens);
    if (oracle->batch.may_fail) out->outcome = OUTCOME_PENDING;
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

void oracle_foretell(struct oracle *oracle, const struct request *request, struct foretold *out)
{
    int event = request->event;
    const struct event *asked = &oracle->events[event];
    *out = (struct foretold){.outcome = OUTCOME_PENDING};
    switch (asked->kind) {
    case OP_CLICK:
        foretell_click(oracle, event, out);
        break;
    case OP_CONVERSION:
        foretell_conversion(oracle, event, out);
        break;
    case OP_SERVER_EVENT:
        if (!is_duplicate(first_match(oracle, asked, has_event_key), out))
            record(oracle, event, out);
        break;
    case OP_IMPRESSION:
        if (!is_duplicate(first_match(oracle, asked, is_impression), out))
            record(oracle, event, out);
        break;
    case OP_FEEDBACK:
        foretell_feedback(oracle, event, out);
        break;
    case OP_AD_FEEDBACK:
        foretell_ad_feedback(oracle, event, out);
        break;
    case OP_VOTE:
    case OP_POLL_RESULTS:
        foretell_vote(oracle, event, out);
        break;
    case OP_POLL_PUT:
        foretell_poll_put(oracle, asked, out);
        break;
    case OP_POLL_WITHDRAW:
        foretell_withdraw(oracle, asked, out);
        break;
    case OP_KEY_CREATE:
    case OP_KEY_REVOKE:
        foretell_api_key(oracle, asked, out);
        break;
    case OP_TOKEN_KEY_ROTATE:
    case OP_TOKEN_KEY_RETIRE:
        foretell_token_key(oracle, request, out);
        break;
    case OP_ERASE:
        foretell_erase(oracle, asked, out);
        break;
    case OP_RETAIN:
        out->outcome = OUTCOME_RECORDED;
        oracle->batch.removes = true;
        break;
    }
}

/* What was written after a batch that failed lies over it: it can come back no more. */
void oracle_acknowledged(struct oracle *oracle)
{
    if (oracle->batch.writes) oracle->candidates_count = 0;
    if (oracle->batch.may_fail || is_same_tokens(&oracle->tokens, &oracle->batch.tokens)) return;
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
    bool found = is_same_tokens(&list, &oracle->tokens);
    for (size_t i = 0; i < oracle->token_attempts_count && !found; i++)
        found = is_same_tokens(&list, &oracle->token_attempts[i]);
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
