#include "ledger/pollbook.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdlib.h>

enum { POINTER_SIZE = sizeof(void *) }; /* of an element of `polls` */

struct pollbook {
    pthread_rwlock_t lock;
    const struct poll **polls; /* the store's, by id */
    size_t count, cap;
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

static void count_poll(const struct poll *poll, void *arg)
{
    ++*(size_t *)arg;
}

static bool make_room(struct pollbook *pollbook, size_t count)
{
    size_t cap = pollbook->cap ? pollbook->cap : 16;
    while (cap < count)
        cap *= 2;
    if (cap == pollbook->cap) return true;
    const struct poll **polls = realloc(pollbook->polls, cap * POINTER_SIZE);
    if (!polls) return false;
    pollbook->polls = polls;
    pollbook->cap = cap;
    return true;
}

static void take_poll(const struct poll *poll, void *arg)
{
    struct pollbook *pollbook = arg;
    ASSERT(pollbook->count < pollbook->cap);
    pollbook->polls[pollbook->count++] = poll;
}

static int by_id(const void *a, const void *b)
{
    int64_t left = (*(const struct poll *const *)a)->id;
    int64_t right = (*(const struct poll *const *)b)->id;
    return (left > right) - (left < right);
}

/* Room first: without memory the old polls stay, rather than some of the new. */
enum err pollbook_load(struct pollbook *pollbook, struct store *store)
{
    size_t count = 0;
    pthread_rwlock_wrlock(&pollbook->lock);
    enum err err = store_each_poll(store, count_poll, &count);
    if (!err && !make_room(pollbook, count)) err = ERR_NO_MEMORY;
    if (!err) pollbook->count = 0;
    if (!err) err = store_each_poll(store, take_poll, pollbook);
    if (!err && count) qsort(pollbook->polls, count, POINTER_SIZE, by_id);
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
