#pragma once

#include "sim_disk.h"
#include "sim_node.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The one disk, between sim_disk.c (power, faults) and sim_files.c (paths, descriptors, bytes). */

enum { FD_BASE = 1 << 20, FILES_MAX = 64, MAPS_MAX = 16, DEVICE = 0x51d };

enum sim_call {
    CALL_READ = 1,
    CALL_WRITE = 2,
    CALL_OPEN = 4,
    CALL_CREATE = 8,
    CALL_RESIZE = 16,
    CALL_SYNC = 32,
    CALL_NAME = 64, /* rename, mkdir */
    CALL_REMOVE = 128,
    CALL_LOOK = 256, /* stat, list, map, chmod */
    CALL_CHANGES = CALL_WRITE | CALL_CREATE | CALL_RESIZE | CALL_SYNC | CALL_NAME | CALL_REMOVE,
};

struct sim_file {
    int fd; /* 0: free */
    int node;
    int flags, lock;
    off_t position;
};

struct sim_map {
    void *address; /* NULL: free */
    int node, users;
    off_t offset;
};

struct sim_disk {
    pthread_mutex_t mutex;
    struct tree tree;
    struct sim_file files[FILES_MAX];
    struct sim_map maps[MAPS_MAX];
    int fd_next;
    bool is_formatted, is_cut, is_killed;
    uint64_t down_in; /* 0: never */
    bool goes_by_cut;
    enum sim_fault fault;
    uint64_t fail_at, failed; /* 0: never */
    bool fails_for_ever, failed_last, failed_sync;
    unsigned ignored_syncs;
    uint64_t room;
    struct sim_disk_stats stats;
};
extern struct sim_disk sim_disk;

void sim_lock(void);
void sim_unlock(void);
bool sim_is_down(void);

/* What becomes of a call before it does anything. */
struct sim_fate {
    int error;      /* 0, or -errno */
    bool half_done; /* the error comes while it is being done */
    bool is_short;
};
struct sim_fate sim_begin(enum sim_call call);
bool sim_has_room(uint64_t more);
