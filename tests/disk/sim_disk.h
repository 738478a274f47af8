#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A disk in memory with a file system on it, one for the whole process. The C library's file calls
 * (open, pread, pwrite, fsync, rename, mmap, flock ...) on paths below SIM_DISK_ROOT, and on
 * descriptors opened there, are served here; all others reach the kernel. sim_calls.c defines these
 * functions in the program, which the dynamic linker prefers to the C library's: SQLite with its
 * own unix VFS and the store run on it unchanged.
 *
 *     write ─▶ page cache (what every call sees) ─ sync ─▶ disk (what a power cut leaves)
 *                   └─ list of changes not synced yet, in order
 *
 * A write or truncation is durable once its file was synced, a name (create, delete, rename) once
 * its directory was. When the power goes, of the changes not synced any part survives: none, all, a
 * beginning, a subset, single sectors of 512 bytes, with garbage in sectors that were being
 * written. The seed decides. No byte outside of what was being written is harmed, as SQLite assumes
 * too (SQLITE_POWERSAFE_OVERWRITE).
 *
 * A sync that is made to fail may have dropped any part of the file's changes: they are seen until
 * the next restart evicts them, or not even then, and no later sync makes them durable.
 *
 * Any thread. Descriptors of a life must be closed before the next one begins: closing always
 * works, so a store that is of no use any more is closed as usual and touches nothing. */

#define SIM_DISK_ROOT "/sim-disk"
enum { SIM_SECTOR = 512 };

/* An empty disk, running, without faults. What was there before is freed. */
void sim_disk_format(uint64_t seed);
void sim_disk_free(void);

/* The power goes at the `changes`-th change from now: a write, truncation, creation, deletion,
 * rename or sync, which may still happen in part. 0: it stays. */
void sim_disk_cut_in(uint64_t changes);
void sim_disk_kill_in(uint64_t changes); /* the same, and the process dies instead */
void sim_disk_cut(void);                 /* now */
void sim_disk_kill(void); /* now the process dies instead: nothing is lost, what was not synced
                             stays so */

/* Since a cut or a kill: every call fails with EIO and does nothing, until the restart. */
bool sim_disk_is_down(void);
void sim_disk_restart(void);

/* Calls that fail: the `at`-th from now of those that the fault can happen to, or all from it on.
 * 0: none any more, the cause is gone. */
enum sim_fault {
    SIM_FAULT_EIO,   /* every call but close; a write may have happened, in part too */
    SIM_FAULT_FULL,  /* ENOSPC: whatever takes room, syncs included */
    SIM_FAULT_SHORT, /* a write takes half */
    SIM_FAULT_EINTR, /* read, write, open, truncate, sync; the next call gets through */
    SIM_FAULT_COUNT,
};
void sim_disk_fail(enum sim_fault fault, uint64_t at, bool for_ever);
uint64_t sim_disk_failed(void);  /* calls made to fail since sim_disk_fail */
bool sim_disk_failed_sync(void); /* one of them was a sync */

/* All files together have at most so many bytes: past that ENOSPC. 0: no limit. */
void sim_disk_set_room(uint64_t bytes);

/* A disk that lies: these syncs succeed and do nothing. What must be noticed. */
enum { SIM_SYNC_FILES = 1, SIM_SYNC_DIRECTORIES = 2 };
void sim_disk_ignore_syncs(unsigned which);

/* All files and names as they are seen now; loading makes them the disk's whole content, synced.
 * Nothing may be open at a load. */
struct sim_image;
struct sim_image *sim_disk_save(void);
void sim_disk_load(const struct sim_image *image);
void sim_image_free(struct sim_image *image);

struct sim_disk_stats {
    uint64_t calls, changes, syncs;
    uint64_t cuts, kills;
    uint64_t kept, lost, torn; /* changes not synced when the power went */
    uint64_t garbage;          /* sectors */
};
void sim_disk_stats(struct sim_disk_stats *out); /* since the program began */

/* Memory that the disk itself needs does not count where a test makes allocations fail. */
extern _Thread_local volatile int sim_disk_own_memory;
