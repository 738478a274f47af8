#include "store/index.h"

#include "base/assert.h"

#include <stdlib.h>

/* Sizes of a shard are a series of its own, so that the shards, which fill alike, do not all grow
 * at once: on average the indexes take what lies halfway between full and just grown. */
enum { SLOTS_FIRST = 12, SERIES_BITS = 20, STEP_SHARE = 7, ROOM_SHARE = 32 };

_Static_assert((INDEX_SHARDS & (INDEX_SHARDS - 1)) == 0, "shards are chosen by a mask");

unsigned index_shard(const struct index_key *key)
{
    return key->word[0] & (INDEX_SHARDS - 1);
}

static size_t entry_size(const struct index *index)
{
    return (index->words + 1) * sizeof(uint64_t);
}

static uint64_t *entry_at(const struct index *index, const struct index_shard *shard, uint32_t slot)
{
    return shard->entries + (size_t)slot * (index->words + 1);
}

/* In the order of the upper half of the key, whatever the size: growing reads and writes memory in
 * one direction. */
static uint32_t home_of(const struct index_shard *shard, uint64_t word)
{
    return (uint32_t)((word >> 32) * shard->slots >> 32);
}

static uint32_t next_slot(const struct index_shard *shard, uint32_t slot)
{
    return slot + 1 < shard->slots ? slot + 1 : 0;
}

static bool has_key(const struct index *index, const uint64_t *entry, const struct index_key *key)
{
    return entry[0] == key->word[0] && (index->words == 1 || entry[1] == key->word[1]);
}

static uint64_t *value_of(const struct index *index, uint64_t *entry)
{
    return entry + index->words;
}

static void copy_entry(const struct index *index, uint64_t *to, const uint64_t *from)
{
    to[0] = from[0];
    to[1] = from[1];
    if (index->words == 2) to[2] = from[2];
}

void index_init(struct index *index, unsigned words)
{
    ASSERT(words == 1 || words == 2);
    *index = (struct index){.words = words};
}

void index_fini(struct index *index)
{
    for (size_t i = 0; i < INDEX_SHARDS; i++)
        free(index->shards[i].entries);
    *index = (struct index){.words = index->words};
}

void index_clear(struct index *index)
{
    struct index empty = {.words = index->words, .number = index->number, .floor = index->floor};
    index_fini(index);
    *index = empty;
}

uint64_t index_next(const struct index *index, const struct index_key *key,
                    struct index_cursor *cursor)
{
    const struct index_shard *shard = &index->shards[index_shard(key)];
    while (cursor->left > 0) {
        uint64_t *entry = entry_at(index, shard, cursor->slot);
        uint64_t value = *value_of(index, entry);
        if (value == 0) return 0;
        cursor->slot = next_slot(shard, cursor->slot);
        cursor->left--;
        if (has_key(index, entry, key) && INDEX_SEQUENCE(value) >= index->floor) return value;
    }
    return 0;
}

uint64_t index_first(const struct index *index, const struct index_key *key,
                     struct index_cursor *cursor)
{
    const struct index_shard *shard = &index->shards[index_shard(key)];
    *cursor = (struct index_cursor){.left = shard->slots};
    if (shard->slots) cursor->slot = home_of(shard, key->word[0]);
    return index_next(index, key, cursor);
}

uint64_t index_count(const struct index *index)
{
    uint64_t count = 0;
    for (size_t i = 0; i < INDEX_SHARDS; i++)
        count += index->shards[i].used;
    return count;
}

uint64_t index_bytes(const struct index *index)
{
    uint64_t slots = 0;
    for (size_t i = 0; i < INDEX_SHARDS; i++)
        slots += index->shards[i].slots;
    return slots * entry_size(index);
}

static void place(const struct index *index, struct index_shard *shard, const uint64_t *entry)
{
    uint32_t slot = home_of(shard, entry[0]);
    while (*value_of(index, entry_at(index, shard, slot)) != 0)
        slot = next_slot(shard, slot);
    copy_entry(index, entry_at(index, shard, slot), entry);
    shard->used++;
}

static uint32_t count_live(const struct index *index, const struct index_shard *shard)
{
    uint32_t live = 0;
    if (index->floor == 0) return shard->used; /* nothing expires */
    for (uint32_t slot = 0; slot < shard->slots; slot++) {
        uint64_t value = *value_of(index, entry_at(index, shard, slot));
        if (value != 0 && INDEX_SEQUENCE(value) >= index->floor) live++;
    }
    return live;
}

/* How many entries so many slots may hold: at most 7/8, probing gets long past that. */
static uint64_t used_max(uint64_t slots)
{
    return slots - slots / 8;
}

/* The first size of the shard's series that holds so many and some to come, or expiry would have it
 * rehashed for one entry at a time. */
static uint64_t slots_for(size_t shard, uint64_t wanted)
{
    uint64_t size = (uint64_t)SLOTS_FIRST << SERIES_BITS;
    for (size += size / STEP_SHARE * shard / INDEX_SHARDS;; size += size / STEP_SHARE) {
        uint64_t slots = size >> SERIES_BITS;
        if (wanted + slots / ROOM_SHARE <= used_max(slots)) return slots;
    }
}

/* Zeroes. A fresh page that is read before it is written gets mapped twice, and the second time all
 * cores that run a thread of ours are told: so each is written once, at once. */
static uint64_t *fresh_entries(uint64_t slots, size_t size)
{
    enum { PAGE_SIZE = 4096 };
    volatile char *entries = calloc(slots, size);
    if (!entries) return NULL;
    for (size_t at = 0; at < slots * size; at += PAGE_SIZE)
        entries[at] = 0;
    entries[slots * size - 1] = 0;
    return (uint64_t *)(uintptr_t)entries;
}

/* Moves what is live into fresh memory with room for `more`, larger only when that needs it. */
static bool rehash(struct index *index, struct index_shard *shard, uint64_t more)
{
    uint64_t wanted = count_live(index, shard) + more;
    uint64_t slots = slots_for((size_t)(shard - index->shards), wanted);
    if (slots > UINT32_MAX) return false;
    uint64_t *entries = fresh_entries(slots, entry_size(index));
    if (!entries) return false;
    struct index_shard old = *shard;
    *shard = (struct index_shard){.entries = entries, .slots = (uint32_t)slots};
    for (uint32_t slot = 0; slot < old.slots; slot++) {
        uint64_t *entry = entry_at(index, &old, slot);
        uint64_t value = *value_of(index, entry);
        if (value != 0 && INDEX_SEQUENCE(value) >= index->floor) place(index, shard, entry);
    }
    free(old.entries);
    return true;
}

bool index_add(struct index *index, const struct index_key *key, uint64_t value)
{
    ASSERT(value != 0);
    struct index_shard *shard = &index->shards[index_shard(key)];
    bool is_full = shard->used >= used_max(shard->slots);
    if (is_full && !rehash(index, shard, 1)) return false;
    uint64_t entry[3] = {key->word[0], key->word[1]};
    entry[index->words] = value;
    place(index, shard, entry);
    return true;
}

static uint64_t *find_exact(const struct index *index, struct index_shard *shard,
                            const struct index_key *key, uint64_t value, uint32_t *at)
{
    if (shard->slots == 0) return NULL;
    uint32_t slot = home_of(shard, key->word[0]);
    for (uint32_t left = shard->slots; left > 0; left--) {
        uint64_t *entry = entry_at(index, shard, slot);
        uint64_t found = *value_of(index, entry);
        if (found == 0) return NULL;
        if (found == value && has_key(index, entry, key)) {
            *at = slot;
            return entry;
        }
        slot = next_slot(shard, slot);
    }
    return NULL;
}

static uint32_t distance(const struct index_shard *shard, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + shard->slots - from;
}

/* Closes the gap at `hole`: whatever probes past it moves back into it. */
static void shift_back(const struct index *index, struct index_shard *shard, uint32_t hole)
{
    for (uint32_t slot = next_slot(shard, hole);; slot = next_slot(shard, slot)) {
        uint64_t *entry = entry_at(index, shard, slot);
        if (*value_of(index, entry) == 0) break;
        if (distance(shard, home_of(shard, entry[0]), slot) < distance(shard, hole, slot)) continue;
        copy_entry(index, entry_at(index, shard, hole), entry);
        hole = slot;
    }
    *value_of(index, entry_at(index, shard, hole)) = 0;
    shard->used--;
}

bool index_remove(struct index *index, const struct index_key *key, uint64_t value)
{
    uint32_t slot;
    struct index_shard *shard = &index->shards[index_shard(key)];
    if (!find_exact(index, shard, key, value, &slot)) return false;
    shift_back(index, shard, slot);
    return true;
}

bool index_replace(struct index *index, const struct index_key *key, uint64_t old_value,
                   uint64_t new_value)
{
    uint32_t slot;
    ASSERT(new_value != 0);
    uint64_t *entry = find_exact(index, &index->shards[index_shard(key)], key, old_value, &slot);
    if (!entry) return false;
    *value_of(index, entry) = new_value;
    return true;
}

bool index_reserve(struct index *index, uint64_t count)
{
    uint64_t per_shard = count / INDEX_SHARDS + 1;
    for (size_t i = 0; i < INDEX_SHARDS; i++) {
        struct index_shard *shard = &index->shards[i];
        bool has_room = shard->used + per_shard <= used_max(shard->slots);
        if (!has_room && !rehash(index, shard, per_shard)) return false;
    }
    return true;
}

void index_prefetch(const struct index *index, const struct index_key *key)
{
    const struct index_shard *shard = &index->shards[index_shard(key)];
    if (shard->slots) __builtin_prefetch(entry_at(index, shard, home_of(shard, key->word[0])));
}
