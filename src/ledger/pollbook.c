#include "ledger/pollbook.h"

#include <pthread.h>
#include <stdlib.h>

enum { POINTER_SIZE = sizeof(void *) }; /* of an element of `polls` */

struct pollbook {
    pthread_rwlock_t lock;
    const struct poll **polls; /* the store's, by id */
    size_t count, cap;
    bool out_of_memory; /* while loading */
};

struct pollbook *pollbook_new(void)
{
    struct pollbook *pollbook = calloc(1, sizeof *pollbook);
    if (pollbook) pthread_rwlock_init(&pollbook->lock, NULL);
    return pollbook;
}

void pollbook_free(struct pollbook *pollbook)
{
    if (!pollbook) return;
    pthread_rwlock_destroy(&pollbook->lock);
    free(pollbook->polls);
    free(pollbook);
}

static bool make_room(struct pollbook *pollbook)
{
    if (pollbook->count < pollbook->cap) return true;
    size_t cap = pollbook->cap ? 2 * pollbook->cap : 16;
    const struct poll **polls = realloc(pollbook->polls, cap * POINTER_SIZE);
    if (!polls) return false;
    pollbook->polls = polls;
    pollbook->cap = cap;
    return true;
}

static void take_poll(const struct poll *poll, void *arg)
{
    struct pollbook *pollbook = arg;
    if (make_room(pollbook))
        pollbook->polls[pollbook->count++] = poll;
    else
        pollbook->out_of_memory = true;
}

static int by_id(const void *a, const void *b)
{
    int64_t left = (*(const struct poll *const *)a)->id;
    int64_t right = (*(const struct poll *const *)b)->id;
    return (left > right) - (left < right);
}

enum err pollbook_load(struct pollbook *pollbook, struct store *store)
{
    pthread_rwlock_wrlock(&pollbook->lock);
    pollbook->count = 0;
    pollbook->out_of_memory = false;
    enum err err = store_each_poll(store, take_poll, pollbook);
    if (pollbook->count) qsort(pollbook->polls, pollbook->count, POINTER_SIZE, by_id);
    if (!err && pollbook->out_of_memory) err = ERR_NO_MEMORY;
    pthread_rwlock_unlock(&pollbook->lock);
    return err;
}

const struct poll *pollbook_find(struct pollbook *pollbook, int64_t id)
{
    const struct poll wanted = {.id = id}, *key = &wanted, *const *found = NULL;
    pthread_rwlock_rdlock(&pollbook->lock);
    if (pollbook->count)
        found = bsearch(&key, pollbook->polls, pollbook->count, POINTER_SIZE, by_id);
    const struct poll *poll = found && !(*found)->withdrawn_at_ms ? *found : NULL;
    pthread_rwlock_unlock(&pollbook->lock);
    return poll;
}

void pollbook_each(struct pollbook *pollbook, store_on_poll *on_poll, void *arg)
{
    pthread_rwlock_rdlock(&pollbook->lock);
    for (size_t i = 0; i < pollbook->count; i++)
        on_poll(pollbook->polls[i], arg);
    pthread_rwlock_unlock(&pollbook->lock);
}
