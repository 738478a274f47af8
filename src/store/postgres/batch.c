#include "store/postgres/batch.h"

#include "base/assert.h"
#include "base/rng.h"
#include "base/writer.h"
#include "token/hash.h"

#include <stdlib.h>
#include <string.h>

/* Which keys a batch names. All of them are known before the first op is decided. */

struct pg_batch *pg_batch_new(void)
{
    struct pg_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->polls_change = -1;
    rng_fill(batch->hash_key, sizeof batch->hash_key);
    return batch;
}

void pg_batch_free(struct pg_batch *batch)
{
    if (!batch) return;
    batch_end(batch);
    free(batch);
}

void batch_end(struct pg_batch *batch)
{
    while (batch->results_count > 0)
        PQclear(batch->results[--batch->results_count]);
    batch->count = batch->keys_count = batch->rows_count = batch->recorded_count = 0;
}

/* -- keys ---------------------------------------------------------------------------------- */

/* Of names that strangers choose. */
static size_t bucket_of(const struct pg_batch *batch, enum key_table table, int64_t number,
                        const struct span *parts)
{
    uint64_t words[2 + KEY_PARTS_MAX] = {table, (uint64_t)number};
    for (int i = 0; i < KEY_PARTS_MAX; i++)
        words[2 + i] = hash_fingerprint(batch->hash_key, parts[i].ptr, parts[i].len);
    return hash_fingerprint(batch->hash_key, words, sizeof words) % BATCH_BUCKETS;
}

static bool is_key(const struct batch_key *key, enum key_table table, int64_t number,
                   const struct span *parts)
{
    if (key->table != table || key->number != number) return false;
    for (int i = 0; i < KEY_PARTS_MAX; i++)
        if (!span_eq(key->parts[i], parts[i])) return false;
    return true;
}

static struct batch_key *find_in(struct batch_key *key, enum key_table table, int64_t number,
                                 const struct span *parts)
{
    while (key && !is_key(key, table, number, parts))
        key = key->next;
    return key;
}

struct batch_key *batch_find(struct pg_batch *batch, enum key_table table, int64_t number,
                             const struct span *parts)
{
    size_t bucket = bucket_of(batch, table, number, parts);
    return find_in(batch->buckets[bucket], table, number, parts);
}

/* The key of that name, made by the first op that has it. */
static struct batch_key *name_key(struct pg_batch *batch, enum key_table table, int64_t number,
                                  const struct span *parts)
{
    size_t bucket = bucket_of(batch, table, number, parts);
    struct batch_key *key = find_in(batch->buckets[bucket], table, number, parts);
    if (key) return key;
    ASSERT(batch->keys_count < BATCH_KEYS_MAX);
    key = &batch->keys[batch->keys_count++];
    *key = (struct batch_key){.next = batch->buckets[bucket], .table = table, .number = number};
    memcpy(key->parts, parts, sizeof key->parts);
    batch->buckets[bucket] = key;
    return key;
}

static struct batch_key *want(struct pg_batch *batch, struct batch_key *key)
{
    if (!key->is_wanted) batch->wanted[key->table]++;
    key->is_wanted = true;
    return key;
}

#define PARTS(...) ((const struct span[KEY_PARTS_MAX]){__VA_ARGS__})

static struct batch_key *want_bid(struct pg_batch *batch, struct span bid_id, enum op_kind kind)
{
    return want(batch, name_key(batch, KEY_BID, kind, PARTS(bid_id)));
}

/* -- what ops name ------------------------------------------------------------------------- */

/* Nobody else has the id of a click that was made for it. */
static void name_click(struct pg_batch *batch, struct batch_op *op)
{
    const struct click *click = &op->op->click;
    uuid_write(op->click_id, &click->id);
    op->click = name_key(batch, KEY_CLICK, 0, PARTS({op->click_id, sizeof op->click_id}));
    if (op->op->happened_at_ms) want(batch, op->click);
    if (!click->ad.bid_id.ptr) return;
    op->bid = want_bid(batch, click->ad.bid_id, OP_CLICK);
    op->impression = want_bid(batch, click->ad.bid_id, OP_IMPRESSION);
}

static void name_conversion(struct pg_batch *batch, struct batch_op *op)
{
    const struct conversion *conversion = &op->op->conversion;
    op->click = want(batch, name_key(batch, KEY_CLICK, 0, PARTS(conversion->click_id)));
    for (int layer = 0; layer < DEDUP_LAYERS; layer++) {
        struct span key = conversion_key_text(conversion, (enum dedup_layer)layer);
        if (!key.ptr) continue;
        op->layers[layer] =
            want(batch, name_key(batch, KEY_CONVERSION, layer,
                                 PARTS(conversion->click_id, conversion->sender.partner_id,
                                       conversion->event_type, key)));
    }
}

static void name_server_event(struct pg_batch *batch, struct batch_op *op)
{
    const struct server_event *event = &op->op->server_event;
    if (event->event_id.ptr)
        op->event =
            want(batch, name_key(batch, KEY_EVENT, 0,
                                 PARTS(event->tag_id, event->sender.partner_id, event->event_id)));
}

/* 128 bits under the pepper, which all nodes share and nobody else knows. */
static void digest_of(const struct secrets *secrets, const struct span *texts, int count,
                      char out[KEY_DIGEST_LEN])
{
    enum { TEXTS_MAX = 6 };
    uint8_t parts[TEXTS_MAX][HASH_SIZE], digest[HASH_SIZE];
    struct writer hex;
    ASSERT(count <= TEXTS_MAX);
    for (int i = 0; i < count; i++)
        hash_secret(parts[i], secrets->pepper, texts[i]);
    hash_secret(digest, secrets->pepper,
                (struct span){(const char *)parts, (size_t)count * sizeof parts[0]});
    writer_init(&hex, out, KEY_DIGEST_LEN);
    writer_hex(&hex, digest, KEY_DIGEST_LEN / 2);
}

void batch_rater(const struct secrets *secrets, struct span publisher, struct span session,
                 char out[KEY_DIGEST_LEN])
{
    digest_of(secrets, (const struct span[]){publisher, session}, 2, out);
}

void batch_rating(const struct secrets *secrets, const struct ad_feedback *feedback,
                  char out[KEY_DIGEST_LEN])
{
    const struct span says[] = {feedback->sentiment,         feedback->reasons,
                                feedback->comment,           feedback->sent_placement,
                                feedback->sent_placement_id, feedback->sent_user_id};
    digest_of(secrets, says, sizeof says / sizeof says[0], out);
}

static void name_ad_feedback(struct pg_store *store, struct batch_op *op)
{
    const struct ad_feedback *feedback = &op->op->ad_feedback;
    struct span bid_id = feedback->ad.bid_id;
    batch_rater(store->secrets, feedback->ad.publisher_id, feedback->sent_session_id, op->rater);
    batch_rating(store->secrets, feedback, op->digest);
    struct span rater = {op->rater, sizeof op->rater};
    op->bid = want_bid(store->batch, bid_id, OP_AD_FEEDBACK);
    op->rating = name_key(store->batch, KEY_RATING, 0, PARTS(bid_id, rater)); /* with the bid's */
    op->session = want(store->batch, name_key(store->batch, KEY_SESSION, 0,
                                              PARTS(feedback->ad.publisher_id, rater)));
}

static void name_vote(struct pg_batch *batch, struct batch_op *op)
{
    const struct vote *vote = &op->op->vote;
    op->poll = want(batch, name_key(batch, KEY_POLL, vote->poll_id, PARTS(SPAN_NONE)));
    if (op->op->kind == OP_VOTE) op->bid = want_bid(batch, vote->ad.bid_id, OP_VOTE);
}

static void name_keys(struct pg_store *store, struct batch_op *op)
{
    struct pg_batch *batch = store->batch;
    switch (op->op->kind) {
    case OP_CLICK:
        name_click(batch, op);
        break;
    case OP_CONVERSION:
        name_conversion(batch, op);
        break;
    case OP_SERVER_EVENT:
        name_server_event(batch, op);
        break;
    case OP_IMPRESSION:
        op->impression = want_bid(batch, op->op->impression.ad.bid_id, OP_IMPRESSION);
        break;
    case OP_FEEDBACK:
        op->impression = want_bid(batch, op->op->feedback.bid_id, OP_IMPRESSION);
        op->bid = want_bid(batch, op->op->feedback.bid_id, OP_FEEDBACK);
        break;
    case OP_AD_FEEDBACK:
        name_ad_feedback(store, op);
        break;
    default:
        name_vote(batch, op);
        break;
    }
}

/* What deciding writes into an op, as it came. */
static void keep_own(struct batch_op *op)
{
    if (op->op->kind == OP_CLICK) op->own_flags = op->op->click.visitor.flags;
    if (op->op->kind == OP_AD_FEEDBACK) op->own_id = op->op->ad_feedback.id;
}

void batch_begin(struct pg_store *store, struct op *const ops[], size_t count)
{
    struct pg_batch *batch = store->batch;
    ASSERT(count <= STORE_BATCH_MAX);
    batch_end(batch);
    memset(batch->buckets, 0, sizeof batch->buckets);
    memset(batch->wanted, 0, sizeof batch->wanted);
    batch->count = count;
    for (size_t i = 0; i < count; i++) {
        ASSERT(ops[i]->kind <= OP_POLL_RESULTS);
        ops[i]->outcome = OUTCOME_PENDING;
        batch->ops[i] = (struct batch_op){.op = ops[i]};
        keep_own(&batch->ops[i]);
        name_keys(store, &batch->ops[i]);
    }
}

/* The last first: a visitor may be there twice. */
void batch_take_back(struct pg_store *store)
{
    struct pg_batch *batch = store->batch;
    for (size_t i = batch->count; i-- > 0;) {
        struct batch_op *op = &batch->ops[i];
        if (op->is_visit)
            pg_visitors_take_back(store->visitors, op->op->click.visitor.key, op->time_ms,
                                  op->visit_before_ms);
        op->op->outcome = OUTCOME_UNAVAILABLE;
        op->op->sequence = 0;
        if (op->op->kind == OP_CLICK) op->op->click.visitor.flags = op->own_flags;
        if (op->op->kind == OP_AD_FEEDBACK) op->op->ad_feedback.id = op->own_id;
    }
    batch_end(batch);
}

/* -- rows ---------------------------------------------------------------------------------- */

void batch_add_row(struct pg_batch *batch, const struct batch_key *key, const struct batch_op *op,
                   int64_t slot)
{
    ASSERT(batch->rows_count < BATCH_ROWS_MAX);
    batch->rows[batch->rows_count++] = (struct key_row){key, op, slot};
}

void batch_rating_detail(const struct batch_op *op, char out[RATING_DETAIL_LEN])
{
    memcpy(out, op->rater, KEY_DIGEST_LEN);
    memcpy(out + KEY_DIGEST_LEN, op->digest, KEY_DIGEST_LEN);
    uuid_write(out + 2 * KEY_DIGEST_LEN, &op->op->ad_feedback.id);
}
