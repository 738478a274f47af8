#include "memory.h"

#include "sim_disk.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

/* The linker sends the program's own calls here (--wrap); SQLite, a library by itself, is told. */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t fail_at, failed;
static bool fails_for_ever;

void memory_fail(uint64_t at, bool for_ever)
{
    pthread_mutex_lock(&mutex);
    fail_at = at;
    fails_for_ever = for_ever;
    failed = 0;
    pthread_mutex_unlock(&mutex);
}

uint64_t memory_failed(void)
{
    pthread_mutex_lock(&mutex);
    uint64_t count = failed;
    pthread_mutex_unlock(&mutex);
    return count;
}

static bool fails(void)
{
    bool now = false;
    if (sim_disk_own_memory) return false;
    pthread_mutex_lock(&mutex);
    if (fail_at > 1) {
        fail_at--;
    } else if (fail_at == 1) {
        now = true;
        failed++;
        if (!fails_for_ever) fail_at = 0;
    }
    pthread_mutex_unlock(&mutex);
    return now;
}

void *real_malloc(size_t size) __asm__("__real_malloc");
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");
void *real_realloc(void *old, size_t size) __asm__("__real_realloc");
int real_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                void *argument) __asm__("__real_pthread_create");

void *on_malloc(size_t size) __asm__("__wrap_malloc");
void *on_malloc(size_t size)
{
    return fails() ? NULL : real_malloc(size);
}

void *on_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *on_calloc(size_t count, size_t size)
{
    return fails() ? NULL : real_calloc(count, size);
}

void *on_realloc(void *old, size_t size) __asm__("__wrap_realloc");
void *on_realloc(void *old, size_t size)
{
    return fails() ? NULL : real_realloc(old, size);
}

int on_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
              void *argument) __asm__("__wrap_pthread_create");
int on_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
              void *argument)
{
    return fails() ? EAGAIN : real_thread(thread, attributes, run, argument);
}

static sqlite3_mem_methods sqlite;

static void *on_sqlite_malloc(int size)
{
    return fails() ? NULL : sqlite.xMalloc(size);
}

static void *on_sqlite_realloc(void *old, int size)
{
    return fails() ? NULL : sqlite.xRealloc(old, size);
}

void memory_start(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite);
    sqlite3_mem_methods methods = sqlite;
    methods.xMalloc = on_sqlite_malloc;
    methods.xRealloc = on_sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}
