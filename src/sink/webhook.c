#include "sink/letters.h"
#include "sink/sign.h"
#include "sink/sink.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Webhooks: an event a request, several at once, those of one key one after the other. What fails
 * waits for its next try, over restarts too, and the others go on; what fails to the end of the
 * schedule becomes a dead letter. */

enum {
    IDLE_MS = 100,
    COMMIT_MS = 200,
    READ_MAX = 128,
    IN_FLIGHT_MAX = 64,
    DOWN_AFTER = 10, /* failures in a row: it is the receiver, not the event */
    END_MS = 5000,
};
static const int64_t RETRY_AFTER_MAX_MS = 3600 * 1000;

struct webhook {
    struct sink *sink;
    struct letters letters;
    struct signer *signer;
    struct post_target target;
    CURLM *multi;
    size_t in_flight;
    unsigned failures_in_row;
    int64_t not_before_ms; /* wall clock: the receiver asked for a pause */
    bool is_replaying;
    size_t replayed; /* lines of NAME.again */
};

static size_t room(const struct webhook *hook)
{
    return hook->letters.cap - hook->letters.count;
}

/* ---- what there is to send ---- */

/* An event that was read before; false: it is there no more, or cannot be read now (*is_lost tells
 * which). */
static bool read_event(struct webhook *hook, uint64_t sequence, struct letter *letter,
                       bool *is_lost)
{
    char problem[STORE_PROBLEM_MAX];
    struct store_feed_event event;
    uint64_t cursor = sequence - 1;
    size_t count;
    enum err err = store_feed_read(hook->sink->feed, &cursor, sequence, &event, 1, &count, problem);
    *is_lost = !err && count == 0;
    if (err) sink_tell(hook->sink, problem);
    return !err && count == 1 && letter_fill(letter, &event);
}

static void on_done(struct webhook *hook, struct letter *letter)
{
    letters_remove(&hook->letters, letter);
    hook->sink->is_uncommitted = true;
}

static void on_lost(struct webhook *hook, struct letter *letter)
{
    log_event(
        LOG_WARN, "sink_event_gone", LOG_TEXT("sink", span_of(hook->sink->config->name)),
        LOG_NUMBER("sequence", (int64_t)letter->sequence),
        LOG_TEXT("consequence", SPAN("retention removed it before it was sent: it is left out")));
    on_done(hook, letter);
}

/* What waits: its key has to be known before anything else of the key goes. */
static bool add_known(struct webhook *hook, const struct waiting_event *waiting)
{
    bool is_lost = false;
    struct letter *letter = letters_add(&hook->letters, waiting->sequence);
    if (!letter || letter->post) return letter;
    letter->attempts = waiting->attempts;
    letter->due_ms = waiting->due_ms;
    if (read_event(hook, waiting->sequence, letter, &is_lost)) {
        letter_forget_text(letter);
        return true;
    }
    if (is_lost) on_lost(hook, letter);
    return is_lost;
}

static bool add_waiting(struct webhook *hook)
{
    for (size_t i = 0; i < hook->sink->state.waiting_count; i++)
        if (!add_known(hook, &hook->sink->state.waiting[i])) return false;
    return true;
}

/* False: the feed has failed. */
static bool read_new(struct webhook *hook, bool *is_at_end)
{
    struct sink *sink = hook->sink;
    uint64_t cursor = sink->state.sequence;
    size_t count, cap = room(hook);
    *is_at_end = true;
    bool is_enough = hook->letters.count >= 4 * READ_MAX && hook->failures_in_row == 0;
    if (is_enough || sink->state.is_disabled) cap = 0;
    if (cap == 0) return true;
    if (!sink_read(sink, &cursor, cap < READ_MAX ? cap : READ_MAX, &count)) return false;
    for (size_t i = 0; i < count; i++) {
        struct letter *letter = letters_add(&hook->letters, sink->events[i].sequence);
        if (!letter || !letter_fill(letter, &sink->events[i])) return false;
    }
    *is_at_end = cursor == sink->state.sequence;
    sink_advance(sink, cursor);
    return true;
}

/* ---- the state on the disk ---- */

static bool commit(struct webhook *hook)
{
    struct sink_state *state = &hook->sink->state;
    if (!hook->sink->is_uncommitted) return true;
    if (!state_reserve(state, hook->letters.count)) return false;
    state->waiting_count = hook->letters.count;
    for (size_t i = 0; i < hook->letters.count; i++) {
        const struct letter *letter = hook->letters.list[i];
        state->waiting[i] =
            (struct waiting_event){letter->sequence, letter->due_ms, letter->attempts};
    }
    return sink_commit(hook->sink, COMMIT_MS + (int64_t)hook->letters.count / 10);
}

static void count_waiting(struct webhook *hook)
{
    struct sink_status *status = &hook->sink->status;
    status->waiting = hook->letters.count;
    status->waiting_since_ms = hook->letters.count ? hook->letters.list[0]->recorded_at_ms : 0;
}

/* ---- wishes ---- */

static bool replay_some(struct webhook *hook)
{
    uint64_t sequences[READ_MAX];
    const char *name = hook->sink->config->name;
    size_t cap = room(hook) < READ_MAX ? room(hook) : READ_MAX;
    size_t count = again_read(hook->sink->dir_fd, name, hook->replayed, sequences, cap);
    for (size_t i = 0; i < count; i++)
        if (!add_known(hook, &(struct waiting_event){sequences[i], 0, 0})) return false;
    hook->replayed += count;
    hook->sink->is_uncommitted |= count > 0;
    if (count > 0 || cap == 0) return true;
    hook->sink->committed_at_ms = 0; /* before the list goes, what was on it is durable */
    if (!commit(hook)) return false;
    again_end(hook->sink->dir_fd, name);
    hook->is_replaying = false;
    return true;
}

static bool grant_wishes(struct webhook *hook)
{
    struct sink *sink = hook->sink;
    const char *name = sink->config->name;
    if (sink->state.is_disabled && wish_is_there(sink->dir_fd, name, "enable")) {
        sink_enable(sink);
        if (!commit(hook)) return false;
        wish_end(sink->dir_fd, name, "enable");
    }
    if (!hook->is_replaying && wish_is_there(sink->dir_fd, name, "replay")) {
        hook->is_replaying = again_begin(sink->dir_fd, name);
        hook->replayed = 0;
        wish_end(sink->dir_fd, name, "replay");
        sink->status.dead_letters = dead_count(sink->dir_fd, name);
    }
    return !hook->is_replaying || replay_some(hook);
}

/* ---- requests ---- */

static bool make_post(struct webhook *hook, struct letter *letter, struct post *post)
{
    char signatures[SIGNATURES_SIZE], receipt[17] = "";
    int64_t now_s = clock_wall_ms() / 1000;
    struct span body = {letter->text, letter->text_len};
    store_feed_receipt(hook->sink->feed, letter->sequence, receipt);
    if (!signer_sign(hook->signer, span_of(receipt), now_s, body, signatures) ||
        !post_begin(post, &hook->target, body) ||
        !post_header(post, "Content-Type: application/json") ||
        !post_header(post, "webhook-id: %s", receipt) ||
        !post_header(post, "webhook-timestamp: %lld", (long long)now_s) ||
        !post_header(post, "webhook-signature: %s", signatures))
        return false;
    post_ready(post);
    curl_easy_setopt(post->easy, CURLOPT_PRIVATE, letter);
    return curl_multi_add_handle(hook->multi, post->easy) == CURLM_OK;
}

/* False: it could not be, now. */
static bool start(struct webhook *hook, struct letter *letter)
{
    bool is_lost = false;
    if (!letter->text && !read_event(hook, letter->sequence, letter, &is_lost)) {
        if (is_lost) on_lost(hook, letter);
        return is_lost;
    }
    letter->post = calloc(1, sizeof *letter->post);
    if (letter->post && make_post(hook, letter, letter->post)) {
        hook->in_flight++;
        return true;
    }
    if (letter->post) post_end(letter->post);
    free(letter->post);
    letter->post = NULL;
    return false;
}

static bool start_ready(struct webhook *hook)
{
    struct letter *ready[IN_FLIGHT_MAX];
    size_t cap = (size_t)hook->sink->config->concurrency - hook->in_flight;
    int64_t now_ms = clock_wall_ms();
    if (hook->sink->state.is_disabled || now_ms < hook->not_before_ms || cap == 0) return true;
    size_t count = letters_ready(&hook->letters, now_ms, ready, cap);
    for (size_t i = 0; i < count; i++)
        if (!start(hook, ready[i])) return false;
    return true;
}

/* ---- answers ---- */

/* The receiver is back: nobody waits for the rest of a pause that was made for its absence. */
static void on_delivered(struct webhook *hook, struct letter *letter)
{
    if (hook->failures_in_row >= DOWN_AFTER)
        for (size_t i = 0; i < hook->letters.count; i++)
            hook->letters.list[i]->due_ms = 0;
    hook->failures_in_row = 0;
    hook->sink->status.sent++;
    sink_tell(hook->sink, NULL);
    on_done(hook, letter);
}

static bool bury(struct webhook *hook, struct letter *letter, const struct sink_failure *failure)
{
    struct sink *sink = hook->sink;
    struct dead_letter dead = {.sequence = letter->sequence,
                               .table = event_table_name(letter->table).ptr,
                               .attempts = letter->attempts,
                               .dead_at_ms = clock_wall_ms()};
    store_feed_receipt(sink->feed, letter->sequence, dead.receipt);
    snprintf(dead.reason, sizeof dead.reason, "%s", failure->reason);
    if (!dead_append(sink->dir_fd, sink->config->name, &dead)) return false;
    sink->status.dead_letters++;
    log_event(LOG_ERROR, "sink_dead_letter", LOG_TEXT("sink", span_of(sink->config->name)),
              LOG_TEXT("receipt", span_of(dead.receipt)), LOG_TEXT("reason", span_of(dead.reason)),
              LOG_TEXT("advice", SPAN("correct the receiver, then adtally-sinks replay")));
    on_done(hook, letter);
    return true;
}

/* A fifth more or less, so that what failed together does not come back together. */
static int64_t with_jitter(int64_t ms)
{
    uint32_t random;
    rng_fill(&random, sizeof random);
    return ms - ms / 5 + (int64_t)(random % (uint64_t)(2 * (ms / 5) + 1));
}

static void on_failed(struct webhook *hook, struct letter *letter,
                      const struct sink_failure *failure)
{
    struct sink *sink = hook->sink;
    int64_t now_ms = clock_wall_ms(), asked_ms = failure->retry_after_ms;
    if (asked_ms > RETRY_AFTER_MAX_MS) asked_ms = RETRY_AFTER_MAX_MS;
    sink->status.failed++;
    sink->is_uncommitted = true;
    hook->failures_in_row++;
    sink_tell(sink, failure->reason);
    letter_forget_text(letter);
    if (asked_ms) hook->not_before_ms = now_ms + asked_ms;
    if (failure->is_gone) {
        sink_disable(sink);
        return;
    }
    letter->attempts++;
    unsigned last = sink->config->retries_count;
    if (letter->attempts > last && bury(hook, letter, failure)) return;
    unsigned pause =
        letter->attempts > last ? last : letter->attempts; /* cannot be buried: again */
    letter->due_ms = now_ms + with_jitter(pause ? sink->config->retry_ms[pause - 1] : IDLE_MS);
}

static void finish(struct webhook *hook, CURL *easy, CURLcode code)
{
    struct letter *letter = NULL;
    struct sink_failure failure = {0};
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &letter);
    curl_multi_remove_handle(hook->multi, easy);
    hook->in_flight--;
    bool is_delivered = post_judge(letter->post, code, &failure);
    post_end(letter->post);
    free(letter->post);
    letter->post = NULL;
    if (is_delivered)
        on_delivered(hook, letter);
    else
        on_failed(hook, letter, &failure);
}

static void take_answers(struct webhook *hook)
{
    int running, left;
    curl_multi_perform(hook->multi, &running);
    for (CURLMsg *message = curl_multi_info_read(hook->multi, &left); message;
         message = curl_multi_info_read(hook->multi, &left))
        if (message->msg == CURLMSG_DONE) finish(hook, message->easy_handle, message->data.result);
}

/* ---- all of it ---- */

static bool open_hook(struct webhook *hook, struct sink_failure *failure)
{
    const struct sink_config *config = hook->sink->config;
    /* What waits may be more than the option was lowered to. */
    size_t cap = (size_t)config->waiting_max, waiting = hook->sink->state.waiting_count;
    if (cap < waiting) cap = waiting;
    hook->multi = curl_multi_init();
    hook->is_replaying = true; /* what a replay that was cut off had left */
    hook->signer = signer_open(config->secret_file, failure);
    if (!hook->signer || !post_target_open(&hook->target, config, failure)) return false;
    if (hook->multi && letters_open(&hook->letters, cap) && add_waiting(hook)) return true;
    if (!failure->reason[0])
        sink_fail(failure, "what waited cannot be read: memory, or a damaged row");
    return false;
}

static void close_hook(struct webhook *hook)
{
    for (size_t i = 0; i < hook->letters.count; i++)
        if (hook->letters.list[i]->post)
            curl_multi_remove_handle(hook->multi, hook->letters.list[i]->post->easy);
    if (hook->letters.list) letters_close(&hook->letters);
    if (hook->multi) curl_multi_cleanup(hook->multi);
    post_target_close(&hook->target);
    signer_close(hook->signer);
}

/* False: the feed, or the disk, has failed. */
static bool turn(struct webhook *hook, bool *is_stopping)
{
    bool is_at_end;
    take_answers(hook);
    if (!grant_wishes(hook) || !read_new(hook, &is_at_end) || !start_ready(hook)) return false;
    count_waiting(hook);
    commit(hook);
    if (hook->in_flight) curl_multi_poll(hook->multi, NULL, 0, IDLE_MS, NULL);
    *is_stopping = !sink_rest(hook->sink, hook->in_flight || !is_at_end ? 0 : IDLE_MS);
    return true;
}

/* What is on its way may still arrive. */
static void end(struct webhook *hook)
{
    int64_t until_ms = clock_mono_ms() + END_MS;
    while (hook->in_flight && clock_mono_ms() < until_ms) {
        take_answers(hook);
        if (hook->in_flight) curl_multi_poll(hook->multi, NULL, 0, IDLE_MS, NULL);
    }
    count_waiting(hook);
    hook->sink->committed_at_ms = 0;
    commit(hook);
}

bool webhook_follow(struct sink *sink)
{
    struct webhook hook = {.sink = sink};
    struct sink_failure failure = {0};
    bool is_stopping = false;
    bool is_fed = open_hook(&hook, &failure);
    if (!is_fed) {
        sink_tell(sink, failure.reason);
    } else {
        while (is_fed && !is_stopping)
            is_fed = turn(&hook, &is_stopping);
        end(&hook);
    }
    close_hook(&hook);
    return is_fed;
}
