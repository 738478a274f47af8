#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the disk is made of: nodes (files and directories), each as it is seen and as it stands on
 * the disk, and the list of changes that lie between the two. Everything under the disk's lock. */

struct blob {
    uint8_t *bytes;
    size_t size, cap;
};

enum { SIM_NAME_MAX = 64, SIM_NO_NODE = -1 };

/* A name in a directory leads to a node, or to none. */
struct entry {
    char name[SIM_NAME_MAX];
    int node;
};

struct side {
    struct blob blob; /* a file's bytes */
    struct entry *entries;
    size_t count, cap;
};

struct node {
    bool is_dir;
    mode_t mode;
    int parent;
    struct side seen, disk;
    bool has_lost;  /* a failed sync dropped some of it: what is seen may be evicted */
    bool is_mapped; /* shared memory: garbage after a power cut */
};

enum change_kind { CHANGE_WRITE, CHANGE_RESIZE, CHANGE_NAMES };

struct change {
    enum change_kind kind;
    int node;
    size_t offset, size; /* RESIZE: size alone */
    uint8_t *bytes;
    struct entry names[2]; /* a rename sets two at once; name "" is none */
};

struct tree {
    struct node **nodes; /* the first one is the root; none goes before the next format */
    size_t nodes_count, nodes_cap;
    struct change *changes; /* not synced, oldest first */
    size_t changes_count, changes_cap;
};

/* Memory that is never made to fail. */
void *sim_alloc(void *old, size_t size);

uint64_t sim_roll(uint64_t sides); /* the seed's next number below `sides` */
void sim_seed(uint64_t seed);

void tree_init(struct tree *tree);
void tree_free(struct tree *tree);
int tree_add(struct tree *tree, bool is_dir, mode_t mode, int parent);
uint64_t tree_size(const struct tree *tree); /* bytes of all files, as seen */

int side_find(const struct side *side, const char *name); /* its node, or SIM_NO_NODE */

/* Changes what is seen, and remembers the change. */
void tree_write(struct tree *tree, int node, size_t offset, const void *bytes, size_t size);
void tree_resize(struct tree *tree, int node, size_t size);
void tree_name(struct tree *tree, int directory, const char *name, int node);
void tree_rename(struct tree *tree, int directory, const char *from, const char *to, int node);

/* A sync of one node; a failed one drops a part. */
void tree_sync(struct tree *tree, int node);
void tree_sync_badly(struct tree *tree, int node);
void tree_sync_all(struct tree *tree);

struct damage_done {
    uint64_t kept, lost, torn, garbage;
};

/* The power went: what is seen becomes what survived. */
void tree_damage(struct tree *tree, struct damage_done *done);

/* The process died: what a failed sync dropped may be evicted now. */
void tree_evict(struct tree *tree);

void tree_copy(struct tree *to, const struct tree *from); /* what is seen, as synced */
