#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The in-memory index that exactly-once needs: key -> sequence of the row. It says where to look,
 * the row decides: keys of one word are keyed fingerprints and may collide, so several entries may
 * have the same key and the caller checks each candidate against its row. Keys of two words hold a
 * whole UUID and are exact.
 *
 * Split into shards by the key's low bits, each growing by itself, so that no insert ever waits for
 * more than 1/INDEX_SHARDS of the table to be moved. Within a shard: open addressing in the order
 * of the key's upper half, linear probing, deletion by shifting back, at most 7/8 full. An entry is
 * (words + 1) * 8 bytes; with the room to grow, keys of one word take 20 bytes on average and keys
 * of two 30.
 *
 * Expiry: sequences grow with time, so everything below a floor is old. Such entries count as
 * absent at once and are dropped when their shard would otherwise grow.
 *
 * Keys of different shards have nothing in common: threads may change them at once. Otherwise not
 * thread-safe; the store's thread. */

enum { INDEX_SHARDS = 1024, INDEX_TAG_BITS = 8 };

struct index_key {
    uint64_t
        word[2]; /* word[0], low 10 and upper 32 bits, chooses shard and slot: must be spread */
};

/* What a key leads to: sequence << INDEX_TAG_BITS | tag. The tag is the caller's. */
#define INDEX_VALUE(sequence, tag) ((uint64_t)(sequence) << INDEX_TAG_BITS | (uint8_t)(tag))
#define INDEX_SEQUENCE(value) ((value) >> INDEX_TAG_BITS)
#define INDEX_TAG(value) ((uint8_t)(value))

struct index_shard {
    uint64_t *entries;
    uint32_t slots, used;
};

struct index {
    unsigned words;  /* per key: 1 or 2 */
    unsigned number; /* the caller's */
    uint64_t floor;  /* sequences below are expired */
    struct index_shard shards[INDEX_SHARDS];
};

void index_init(struct index *index, unsigned words);
void index_fini(struct index *index);
void index_clear(struct index *index);

/* Entries, expired ones included until their shard drops them, and the memory of all shards. */
uint64_t index_count(const struct index *index);
uint64_t index_bytes(const struct index *index);

unsigned index_shard(const struct index_key *key); /* below INDEX_SHARDS */

/* Sequences of the caller start at 1: the value 0 means none. Candidates come in no order. */
struct index_cursor {
    uint32_t slot;
    uint32_t left; /* slots not looked at yet */
};
uint64_t index_first(const struct index *index, const struct index_key *key,
                     struct index_cursor *cursor);
uint64_t index_next(const struct index *index, const struct index_key *key,
                    struct index_cursor *cursor);

/* False: out of memory, nothing changed. */
bool index_add(struct index *index, const struct index_key *key, uint64_t value);

/* Exactly the entry with this key and value; false when there is none. */
bool index_remove(struct index *index, const struct index_key *key, uint64_t value);
bool index_replace(struct index *index, const struct index_key *key, uint64_t old_value,
                   uint64_t new_value);

/* Makes room for `count` more entries at once. False: out of memory, nothing is lost. */
bool index_reserve(struct index *index, uint64_t count);

/* Asks the memory for the place of a key that is about to be added or looked up. */
void index_prefetch(const struct index *index, const struct index_key *key);
