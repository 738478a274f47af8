#include "oracle.h"

#include "world.h"

#include <stdlib.h>
#include <string.h>

/* What the store has to answer to each op of a batch, and what stands behind it. */

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
    if (asked->is_import && is_duplicate(oracle_sequence_of(oracle, event), out)) return;
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

static enum outcome change_tokens(struct token_list *list, const struct request *request)
{
    const struct token_key *key = &request->op.token_key;
    return request->op.kind == OP_TOKEN_KEY_ROTATE ? rotate(list, key) : retire(list, key);
}

static void note_attempt(struct oracle *oracle, const struct token_list *list)
{
    for (size_t i = 0; i < oracle->token_attempts_count; i++)
        if (oracle_is_same_tokens(&oracle->token_attempts[i], list)) return;
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
