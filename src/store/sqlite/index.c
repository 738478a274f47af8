#include "store/sqlite/index.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 16 };

_Static_assert((INDEX_SHARDS & (INDEX_SHARDS - 1)) == 0, "shards are chosen by a mask");

static size_t shard_of(const struct index_key *key)
{
    return key->word[0] & (INDEX_SHARDS - 1);
}

static uint64_t *entry_at(const struct index *index, const struct index_shard *shard, uint32_t slot)
{
    return shard->entries + (size_t)slot * (index->words + 1);
}

/* The bits above those that chose the shard. */
static uint32_t home_of(const struct index_shard *shard, uint64_t word)
{
    return (uint32_t)(word / INDEX_SHARDS) & (shard->slots - 1);
}

static bool has_key(const struct index *index, const uint64_t *entry, const struct index_key *key)
{
    return entry[0] == key->word[0] && (index->words == 1 || entry[1] == key->word[1]);
}

static uint64_t *value_of(const struct index *index, uint64_t *entry)
{
    return entry + index->words;
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

uint64_t index_next(const struct index *index, const struct index_key *key,
                    struct index_cursor *cursor)
{
    const struct index_shard *shard = &index->shards[shard_of(key)];
    while (cursor->left > 0) {
        uint64_t *entry = entry_at(index, shard, cursor->slot);
        uint64_t value = *value_of(index, entry);
        if (value == 0) return 0;
        cursor->slot = (cursor->slot + 1) & (shard->slots - 1);
        cursor->left--;
        if (has_key(index, entry, key) && INDEX_SEQUENCE(value) >= index->floor) return value;
    }
    return 0;
}

uint64_t index_first(const struct index *index, const struct index_key *key,
                     struct index_cursor *cursor)
{
    const struct index_shard *shard = &index->shards[shard_of(key)];
    *cursor = (struct index_cursor){.left = shard->slots};
    if (shard->slots) cursor->slot = home_of(shard, key->word[0]);
    return index_next(index, key, cursor);
}

static void place(const struct index *index, struct index_shard *shard, const uint64_t *entry)
{
    uint32_t slot = home_of(shard, entry[0]);
    while (*value_of(index, entry_at(index, shard, slot)) != 0)
        slot = (slot + 1) & (shard->slots - 1);
    memcpy(entry_at(index, shard, slot), entry, (index->words + 1) * sizeof *entry);
    shard->used++;
}

static uint32_t count_live(const struct index *index, const struct index_shard *shard)
{
    uint32_t live = 0;
    for (uint32_t slot = 0; slot < shard->slots; slot++) {
        uint64_t value = *value_of(index, entry_at(index, shard, slot));
        if (value != 0 && INDEX_SEQUENCE(value) >= index->floor) live++;
    }
    return live;
}

/* Moves what is live into fresh memory with room for `more`, larger only when that needs it. */
static bool rehash(struct index *index, struct index_shard *shard, uint64_t more)
{
    size_t entry_size = (index->words + 1) * sizeof(uint64_t);
    uint32_t slots = SLOTS_MIN;
    uint64_t wanted = count_live(index, shard) + more;
    while ((uint64_t)slots * 3 < wanted * 4)
        slots *= 2;
    uint64_t *entries = calloc(slots, entry_size);
    if (!entries) return false;
    struct index_shard old = *shard;
    *shard = (struct index_shard){.entries = entries, .slots = slots};
    for (uint32_t slot = 0; slot < old.slots; slot++) {
        uint64_t *entry = entry_at(index, &old, slot);
        uint64_t value = *value_of(index, entry);
        if (value != 0 && INDEX_SEQUENCE(value) >= index->floor) place(index, shard, entry);
    }
    free(old.entries);
    index->count -= old.used - shard->used;
    index->bytes += (slots - (uint64_t)old.slots) * entry_size;
    return true;
}

bool index_add(struct index *index, const struct index_key *key, uint64_t value)
{
    ASSERT(value != 0);
    struct index_shard *shard = &index->shards[shard_of(key)];
    bool is_full = (uint64_t)(shard->used + 1) * 8 > (uint64_t)shard->slots * 7;
    if (is_full && !rehash(index, shard, 1)) return false;
    uint64_t entry[3] = {key->word[0], key->word[1]};
    entry[index->words] = value;
    place(index, shard, entry);
    index->count++;
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
        slot = (slot + 1) & (shard->slots - 1);
    }
    return NULL;
}

/* Closes the gap at `hole`: whatever probes past it moves back into it. */
static void shift_back(const struct index *index, struct index_shard *shard, uint32_t hole)
{
    uint32_t mask = shard->slots - 1;
    for (uint32_t slot = (hole + 1) & mask;; slot = (slot + 1) & mask) {
        uint64_t *entry = entry_at(index, shard, slot);
        if (*value_of(index, entry) == 0) break;
        uint32_t distance_home = (slot - home_of(shard, entry[0])) & mask;
        uint32_t distance_hole = (slot - hole) & mask;
        if (distance_home < distance_hole) continue;
        memcpy(entry_at(index, shard, hole), entry, (index->words + 1) * sizeof *entry);
        hole = slot;
    }
    *value_of(index, entry_at(index, shard, hole)) = 0;
    shard->used--;
}

bool index_remove(struct index *index, const struct index_key *key, uint64_t value)
{
    uint32_t slot;
    struct index_shard *shard = &index->shards[shard_of(key)];
    if (!find_exact(index, shard, key, value, &slot)) return false;
    shift_back(index, shard, slot);
    index->count--;
    return true;
}

bool index_replace(struct index *index, const struct index_key *key, uint64_t old_value,
                   uint64_t new_value)
{
    uint32_t slot;
    ASSERT(new_value != 0);
    uint64_t *entry = find_exact(index, &index->shards[shard_of(key)], key, old_value, &slot);
    if (!entry) return false;
    *value_of(index, entry) = new_value;
    return true;
}

bool index_reserve(struct index *index, uint64_t count)
{
    uint64_t per_shard = count / INDEX_SHARDS + 1;
    for (size_t i = 0; i < INDEX_SHARDS; i++)
        if (!rehash(index, &index->shards[i], per_shard)) return false;
    return true;
}

void index_prefetch(const struct index *index, const struct index_key *key)
{
    const struct index_shard *shard = &index->shards[shard_of(key)];
    if (shard->slots) __builtin_prefetch(entry_at(index, shard, home_of(shard, key->word[0])));
}
