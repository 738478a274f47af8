#include "sim_disk.h"
#include "sim_node.h"

#include <stdlib.h>
#include <string.h>

_Thread_local volatile int sim_disk_own_memory;

static uint64_t random_state;

void sim_seed(uint64_t seed)
{
    random_state = seed;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t sim_roll(uint64_t sides)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % sides;
}

void *sim_alloc(void *old, size_t size)
{
    sim_disk_own_memory++;
    void *memory = realloc(old, size);
    sim_disk_own_memory--;
    if (!memory) abort();
    return memory;
}

static void *grow(void *items, size_t *cap, size_t count, size_t item_size)
{
    if (count < *cap) return items;
    *cap = *cap ? *cap * 2 : 8;
    return sim_alloc(items, *cap * item_size);
}

static void blob_resize(struct blob *blob, size_t size)
{
    if (size > blob->cap) {
        blob->cap = size < 4096 ? 4096 : size + size / 2;
        blob->bytes = sim_alloc(blob->bytes, blob->cap);
    }
    if (size > blob->size) memset(blob->bytes + blob->size, 0, size - blob->size);
    blob->size = size;
}

static void blob_write(struct blob *blob, size_t offset, const void *bytes, size_t size)
{
    if (size == 0) return;
    if (offset + size > blob->size) blob_resize(blob, offset + size);
    memcpy(blob->bytes + offset, bytes, size);
}

static void blob_copy(struct blob *to, const struct blob *from)
{
    to->size = 0;
    blob_resize(to, from->size);
    if (from->size) memcpy(to->bytes, from->bytes, from->size);
}

int side_find(const struct side *side, const char *name)
{
    for (size_t i = 0; i < side->count; i++)
        if (strcmp(side->entries[i].name, name) == 0) return side->entries[i].node;
    return SIM_NO_NODE;
}

static void side_set(struct side *side, const struct entry *entry)
{
    size_t i = 0;
    if (!entry->name[0]) return;
    while (i < side->count && strcmp(side->entries[i].name, entry->name) != 0)
        i++;
    if (entry->node == SIM_NO_NODE) {
        if (i < side->count) side->entries[i] = side->entries[--side->count];
        return;
    }
    if (i == side->count) {
        side->entries = grow(side->entries, &side->cap, side->count, sizeof *entry);
        side->count++;
    }
    side->entries[i] = *entry;
}

static void side_copy(struct side *to, const struct side *from)
{
    blob_copy(&to->blob, &from->blob);
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        side_set(to, &from->entries[i]);
}

static void side_free(struct side *side)
{
    free(side->blob.bytes);
    free(side->entries);
}

void tree_init(struct tree *tree)
{
    *tree = (struct tree){0};
    tree_add(tree, true, 0755, 0);
}

static void drop_changes(struct tree *tree)
{
    for (size_t i = 0; i < tree->changes_count; i++)
        free(tree->changes[i].bytes);
    tree->changes_count = 0;
}

void tree_free(struct tree *tree)
{
    drop_changes(tree);
    for (size_t i = 0; i < tree->nodes_count; i++) {
        side_free(&tree->nodes[i]->seen);
        side_free(&tree->nodes[i]->disk);
        free(tree->nodes[i]);
    }
    free(tree->nodes);
    free(tree->changes);
    *tree = (struct tree){0};
}

int tree_add(struct tree *tree, bool is_dir, mode_t mode, int parent)
{
    struct node *node = sim_alloc(NULL, sizeof *node);
    *node = (struct node){.is_dir = is_dir, .mode = mode, .parent = parent};
    tree->nodes = grow(tree->nodes, &tree->nodes_cap, tree->nodes_count, sizeof(struct node *));
    tree->nodes[tree->nodes_count] = node;
    return (int)tree->nodes_count++;
}

uint64_t tree_size(const struct tree *tree)
{
    uint64_t size = 0;
    for (size_t i = 0; i < tree->nodes_count; i++)
        size += tree->nodes[i]->seen.blob.size;
    return size;
}

static void apply(struct side *side, const struct change *change)
{
    if (change->kind == CHANGE_WRITE)
        blob_write(&side->blob, change->offset, change->bytes, change->size);
    else if (change->kind == CHANGE_RESIZE)
        blob_resize(&side->blob, change->size);
    else
        for (int i = 0; i < 2; i++)
            side_set(side, &change->names[i]);
}

static void remember(struct tree *tree, const struct change *change)
{
    apply(&tree->nodes[change->node]->seen, change);
    tree->changes =
        grow(tree->changes, &tree->changes_cap, tree->changes_count, sizeof(struct change));
    tree->changes[tree->changes_count++] = *change;
}

void tree_write(struct tree *tree, int node, size_t offset, const void *bytes, size_t size)
{
    struct change change = {CHANGE_WRITE, node, offset, size, sim_alloc(NULL, size + 1), {{"", 0}}};
    memcpy(change.bytes, bytes, size);
    remember(tree, &change);
}

void tree_resize(struct tree *tree, int node, size_t size)
{
    remember(tree, &(struct change){.kind = CHANGE_RESIZE, .node = node, .size = size});
}

static void set_name(struct entry *entry, const char *name, int node)
{
    strncpy(entry->name, name, SIM_NAME_MAX - 1);
    entry->node = node;
}

void tree_name(struct tree *tree, int directory, const char *name, int node)
{
    struct change change = {.kind = CHANGE_NAMES, .node = directory};
    set_name(&change.names[0], name, node);
    remember(tree, &change);
}

void tree_rename(struct tree *tree, int directory, const char *from, const char *to, int node)
{
    struct change change = {.kind = CHANGE_NAMES, .node = directory};
    set_name(&change.names[0], from, SIM_NO_NODE);
    set_name(&change.names[1], to, node);
    remember(tree, &change);
}

/* Takes the changes of one node off the list; those that `survives` says reach the disk. */
static void settle(struct tree *tree, int node, bool all_survive)
{
    size_t kept = 0;
    for (size_t i = 0; i < tree->changes_count; i++) {
        struct change *change = &tree->changes[i];
        if (change->node != node) {
            tree->changes[kept++] = *change;
            continue;
        }
        if (all_survive || sim_roll(2)) apply(&tree->nodes[node]->disk, change);
        free(change->bytes);
    }
    tree->changes_count = kept;
}

void tree_sync(struct tree *tree, int node)
{
    struct node *synced = tree->nodes[node];
    settle(tree, node, true);
    blob_resize(&synced->disk.blob, synced->seen.blob.size);
}

/* Names are in the file system's journal, which is written again or stops for good. */
void tree_sync_badly(struct tree *tree, int node)
{
    if (tree->nodes[node]->is_dir) return;
    tree->nodes[node]->has_lost = true;
    settle(tree, node, false);
}

void tree_sync_all(struct tree *tree)
{
    drop_changes(tree);
    for (size_t i = 0; i < tree->nodes_count; i++)
        side_copy(&tree->nodes[i]->disk, &tree->nodes[i]->seen);
}

void tree_evict(struct tree *tree)
{
    for (size_t i = 0; i < tree->nodes_count; i++) {
        struct node *node = tree->nodes[i];
        if (!node->has_lost || sim_roll(2)) continue;
        node->has_lost = false;
        side_copy(&node->seen, &node->disk);
        for (size_t at = 0; at < tree->changes_count; at++)
            if (tree->changes[at].node == (int)i) apply(&node->seen, &tree->changes[at]);
    }
}

void tree_copy(struct tree *to, const struct tree *from)
{
    *to = (struct tree){0};
    for (size_t i = 0; i < from->nodes_count; i++) {
        const struct node *node = from->nodes[i];
        int copy = tree_add(to, node->is_dir, node->mode, node->parent);
        side_copy(&to->nodes[copy]->seen, &node->seen);
        side_copy(&to->nodes[copy]->disk, &node->seen);
    }
}

/* What a power cut does to the changes that were not synced. */
enum damage_kind { DAMAGE_NONE, DAMAGE_ALL, DAMAGE_PREFIX, DAMAGE_SUBSET, DAMAGE_SECTORS, DAMAGES };

struct damage {
    enum damage_kind kind;
    bool has_garbage, names_in_order;
    uint64_t prefix;      /* so many changes survive, the next one is torn */
    uint64_t names_until; /* so many changes of names do */
    uint64_t odds;        /* of 8 */
};

static struct damage roll_damage(const struct tree *tree)
{
    struct damage damage;
    damage.kind = (enum damage_kind)sim_roll(DAMAGES);
    damage.has_garbage = sim_roll(2) == 0;
    damage.names_in_order = sim_roll(2) == 0;
    damage.prefix = sim_roll(tree->changes_count + 1);
    damage.names_until = sim_roll(tree->changes_count + 1);
    damage.odds = 1 + sim_roll(7);
    return damage;
}

static bool survives(const struct damage *damage, const struct change *change, size_t at)
{
    if (damage->kind == DAMAGE_NONE || damage->kind == DAMAGE_ALL)
        return damage->kind == DAMAGE_ALL;
    if (damage->kind == DAMAGE_PREFIX) return at < damage->prefix;
    if (change->kind == CHANGE_NAMES && damage->names_in_order) return at < damage->names_until;
    return sim_roll(8) < damage->odds;
}

static bool is_torn(const struct damage *damage, const struct change *change, size_t at)
{
    if (change->kind != CHANGE_WRITE) return false;
    return damage->kind == DAMAGE_SECTORS ||
           (damage->kind == DAMAGE_PREFIX && at == damage->prefix);
}

static void fill_with_garbage(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)sim_roll(256);
}

/* Each sector by itself; one that was being written when the power went may hold anything where it
 * was written. */
static void apply_torn(struct blob *blob, struct change *change, const struct damage *damage,
                       struct damage_done *done)
{
    size_t end = change->offset + change->size, at = change->offset;
    while (at < end) {
        size_t next = (at / SIM_SECTOR + 1) * SIM_SECTOR;
        if (next > end) next = end;
        uint8_t *bytes = change->bytes + (at - change->offset);
        bool is_garbage = damage->has_garbage && sim_roll(32) == 0;
        if (is_garbage) fill_with_garbage(bytes, next - at);
        done->garbage += is_garbage;
        if (is_garbage || sim_roll(8) < damage->odds) blob_write(blob, at, bytes, next - at);
        at = next;
    }
}

static void spoil_shared_memory(struct node *node)
{
    if (node->is_mapped) fill_with_garbage(node->disk.blob.bytes, node->disk.blob.size);
    node->is_mapped = node->has_lost = false;
}

void tree_damage(struct tree *tree, struct damage_done *done)
{
    struct damage damage = roll_damage(tree);
    for (size_t i = 0; i < tree->changes_count; i++) {
        struct change *change = &tree->changes[i];
        struct side *side = &tree->nodes[change->node]->disk;
        if (is_torn(&damage, change, i)) {
            done->torn++;
            apply_torn(&side->blob, change, &damage, done);
        } else if (survives(&damage, change, i)) {
            done->kept++;
            apply(side, change);
        } else {
            done->lost++;
        }
    }
    drop_changes(tree);
    for (size_t i = 0; i < tree->nodes_count; i++) {
        spoil_shared_memory(tree->nodes[i]);
        side_copy(&tree->nodes[i]->seen, &tree->nodes[i]->disk);
    }
}
