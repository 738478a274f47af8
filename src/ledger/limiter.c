#include "ledger/limiter.h"

#include "base/rng.h"
#include "token/hash.h"

#include <pthread.h>
#include <stdlib.h>

/* GCRA: a key's `due_us` is when its allowance would be used up had requests come evenly; a request
 * is let through while that is less than a second ahead. A key whose time has passed has its full
 * allowance back, so its slot may be given away without anybody noticing. */
struct slot {
    uint64_t fingerprint;
    int64_t due_us;
};

/* DEBT: the furthest that others' requests move the time of the next one away. */
enum { WAYS = 8, LOCKS = 64, SECOND_US = 1000000, DEBT_US_MAX = 60 * SECOND_US };

struct limiter {
    uint32_t sets; /* a power of two */
    uint8_t hash_key[HASH_FINGERPRINT_KEY_SIZE];
    pthread_mutex_t locks[LOCKS]; /* of the sets, by their low bits, and of what follows */
    int64_t interval_us[LOCKS];   /* the same, but for a moment of limiter_set_rate */
    uint32_t *uses;               /* of each slot, under its set's lock; NULL: not counted */
    struct slot slots[];
};

struct limiter *limiter_new(uint32_t rate_per_second, uint32_t keys_max)
{
    uint32_t sets = LOCKS;
    while (sets * WAYS < keys_max)
        sets *= 2;
    struct limiter *limiter =
        calloc(1, sizeof *limiter + (size_t)sets * WAYS * sizeof(struct slot));
    if (!limiter) return NULL;
    limiter->sets = sets;
    rng_fill(limiter->hash_key, sizeof limiter->hash_key);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&limiter->locks[i], NULL);
    limiter_set_rate(limiter, rate_per_second);
    return limiter;
}

void limiter_set_rate(struct limiter *limiter, uint32_t rate_per_second)
{
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_lock(&limiter->locks[i]);
        limiter->interval_us[i] = SECOND_US / (int64_t)rate_per_second;
        pthread_mutex_unlock(&limiter->locks[i]);
    }
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter) return;
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&limiter->locks[i]);
    free(limiter->uses);
    free(limiter);
}

/* The key's slot, else the one that is worth least: free, or due the longest ago. */
static struct slot *slot_for(struct limiter *limiter, struct slot *set, uint64_t fingerprint)
{
    struct slot *least = set;
    for (int way = 0; way < WAYS; way++) {
        if (set[way].fingerprint == fingerprint) return &set[way];
        if (set[way].due_us < least->due_us) least = &set[way];
    }
    *least = (struct slot){.fingerprint = fingerprint};
    if (limiter->uses) limiter->uses[least - limiter->slots] = 0;
    return least;
}

static int64_t take(struct slot *slot, int64_t interval_us, int64_t now_us)
{
    int64_t due_us = slot->due_us > now_us ? slot->due_us : now_us;
    int64_t ahead_us = due_us + interval_us - now_us;
    if (ahead_us <= SECOND_US) {
        slot->due_us = due_us + interval_us;
        return 0;
    }
    return (ahead_us - SECOND_US + 999) / 1000;
}

struct found {
    struct slot *slot;
    pthread_mutex_t *lock; /* held */
    int64_t interval_us;
};

static struct found find(struct limiter *limiter, struct span key)
{
    uint64_t fingerprint = hash_fingerprint(limiter->hash_key, key.ptr, key.len);
    uint32_t set = (uint32_t)fingerprint & (limiter->sets - 1);
    struct found found = {.lock = &limiter->locks[set % LOCKS]};
    pthread_mutex_lock(found.lock);
    found.interval_us = limiter->interval_us[set % LOCKS];
    found.slot = slot_for(limiter, &limiter->slots[(size_t)set * WAYS], fingerprint);
    return found;
}

int64_t limiter_take(struct limiter *limiter, struct span key, int64_t now_mono_us)
{
    struct found found = find(limiter, key);
    int64_t wait_ms = take(found.slot, found.interval_us, now_mono_us);
    if (limiter->uses && wait_ms == 0) limiter->uses[found.slot - limiter->slots]++;
    pthread_mutex_unlock(found.lock);
    return wait_ms;
}

bool limiter_count_uses(struct limiter *limiter)
{
    limiter->uses = calloc((size_t)limiter->sets * WAYS, sizeof *limiter->uses);
    return limiter->uses != NULL;
}

uint64_t limiter_take_uses(struct limiter *limiter, struct span key)
{
    struct found found = find(limiter, key);
    uint32_t *uses = &limiter->uses[found.slot - limiter->slots];
    uint64_t taken = *uses;
    *uses = 0;
    pthread_mutex_unlock(found.lock);
    return taken;
}

void limiter_charge(struct limiter *limiter, struct span key, uint64_t count, int64_t now_mono_us)
{
    struct found found = find(limiter, key);
    int64_t due_us = found.slot->due_us > now_mono_us ? found.slot->due_us : now_mono_us;
    int64_t room_us = now_mono_us + DEBT_US_MAX - due_us;
    int64_t charge_us = room_us;
    if (count < DEBT_US_MAX) charge_us = (int64_t)count * found.interval_us;
    if (room_us > 0) found.slot->due_us = due_us + (charge_us < room_us ? charge_us : room_us);
    pthread_mutex_unlock(found.lock);
}
