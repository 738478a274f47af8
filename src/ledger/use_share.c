#include "ledger/use_share.h"

#include <stdlib.h>

/* A key that was not used for IDLE_TURNS is asked for no more: when it is used again, what the
 * others let through meanwhile is long over. */
enum { TURN_US = 1000000, IDLE_TURNS = 8 };

/* Of the keyring's n-th key: keys are never removed from it. */
struct shared_key {
    uint64_t unsaid; /* let through here and not written down yet */
    uint64_t others; /* let through by the others, as it was told last */
    uint8_t turns;   /* that are left until it is idle */
    bool is_known;   /* `others` is */
};

struct use_share {
    struct shared_key *keys;
    size_t cap;
    int64_t next_us;
    struct limiter *limiter; /* of the turn under way */
    size_t at;               /* the number of the key that keyring_each gives next */
    size_t first;            /* where this part of the turn begins */
    struct store_use uses[STORE_USES_MAX];
    struct shared_key *of_use[STORE_USES_MAX];
    uint32_t count;
};

struct use_share *use_share_new(void)
{
    return calloc(1, sizeof(struct use_share));
}

void use_share_free(struct use_share *share)
{
    if (!share) return;
    free(share->keys);
    free(share);
}

static struct shared_key *key_at(struct use_share *share, size_t number)
{
    if (number < share->cap) return &share->keys[number];
    size_t cap = share->cap ? share->cap * 2 : 64;
    struct shared_key *keys = realloc(share->keys, cap * sizeof *keys);
    if (!keys) return NULL;
    for (size_t i = share->cap; i < cap; i++)
        keys[i] = (struct shared_key){0};
    share->keys = keys;
    share->cap = cap;
    return &keys[number];
}

static void grow(const struct api_key *key, void *arg)
{
    struct use_share *share = arg;
    (void)key_at(share, share->at++);
}

static void collect(const struct api_key *key, void *arg)
{
    struct use_share *share = arg;
    size_t number = share->at++;
    if (number < share->first || share->count == STORE_USES_MAX || number >= share->cap) return;
    share->first = number + 1;
    if (key->cls != APIKEY_PARTNER) return;
    struct shared_key *shared = &share->keys[number];
    uint64_t used = limiter_take_uses(share->limiter, key->id);
    shared->unsaid += used;
    if (shared->unsaid) shared->turns = IDLE_TURNS;
    if (!shared->turns) return;
    if (--shared->turns == 0) shared->is_known = false;
    share->of_use[share->count] = shared;
    share->uses[share->count++] = (struct store_use){.key_id = key->id, .used = shared->unsaid};
}

static void settle(struct use_share *share, int64_t now_us)
{
    for (uint32_t i = 0; i < share->count; i++) {
        struct shared_key *key = share->of_use[i];
        const struct store_use *use = &share->uses[i];
        if (key->is_known && use->others > key->others)
            limiter_charge(share->limiter, use->key_id, use->others - key->others, now_us);
        key->unsaid = 0;
        key->others = use->others;
        key->is_known = key->turns > 0;
    }
}

/* Up to STORE_USES_MAX keys. False: there are no more, or it failed. */
static bool share_some(struct use_share *share, struct keyring *keyring, struct store *store,
                       int64_t now_us)
{
    share->at = share->count = 0;
    keyring_each(keyring, collect, share);
    if (!share->count || store_share_uses(store, share->uses, share->count)) return false;
    settle(share, now_us);
    return share->count == STORE_USES_MAX;
}

void use_share_turn(struct use_share *share, struct limiter *limiter, struct keyring *keyring,
                    struct store *store, int64_t now_mono_us)
{
    if (now_mono_us < share->next_us) return;
    share->next_us = now_mono_us + TURN_US;
    share->limiter = limiter;
    share->at = share->first = 0;
    keyring_each(keyring, grow, share); /* before pointers to keys are kept */
    while (share_some(share, keyring, store, now_mono_us))
        continue;
}
