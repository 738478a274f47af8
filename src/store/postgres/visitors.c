#include "store/postgres/visitors.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* 16 MiB, touched as visitors come: at 100,000 clicks a second the last ten seconds of them. */
enum { BUCKETS = 1 << 17, WAYS = 8 };

struct visitor {
    uint64_t key;
    int64_t time_ms; /* 0: nobody's */
};

struct pg_visitors {
    pthread_mutex_t mutex; /* of what follows */
    uint32_t users;
    struct visitor buckets[BUCKETS][WAYS];
};

struct pg_visitors *pg_visitors_new(void)
{
    struct pg_visitors *visitors = calloc(1, sizeof *visitors);
    if (!visitors) return NULL;
    pthread_mutex_init(&visitors->mutex, NULL);
    visitors->users = 1;
    return visitors;
}

void pg_visitors_use(struct pg_visitors *visitors)
{
    pthread_mutex_lock(&visitors->mutex);
    visitors->users++;
    pthread_mutex_unlock(&visitors->mutex);
}

void pg_visitors_leave(struct pg_visitors *visitors)
{
    if (!visitors) return;
    pthread_mutex_lock(&visitors->mutex);
    bool is_last = --visitors->users == 0;
    pthread_mutex_unlock(&visitors->mutex);
    if (!is_last) return;
    pthread_mutex_destroy(&visitors->mutex);
    free(visitors);
}

/* Keys are spread evenly by themselves (api/visitor.c). */
static struct visitor *bucket_of(struct pg_visitors *visitors, uint64_t key)
{
    return visitors->buckets[(key ^ key >> 32) % BUCKETS];
}

/* NULL: not known. */
static struct visitor *find(struct pg_visitors *visitors, uint64_t key)
{
    struct visitor *bucket = bucket_of(visitors, key);
    for (int i = 0; i < WAYS; i++)
        if (bucket[i].time_ms && bucket[i].key == key) return &bucket[i];
    return NULL;
}

static struct visitor *oldest(struct pg_visitors *visitors, uint64_t key)
{
    struct visitor *bucket = bucket_of(visitors, key), *found = bucket;
    for (int i = 1; i < WAYS; i++)
        if (bucket[i].time_ms < found->time_ms) found = &bucket[i];
    return found;
}

int64_t pg_visitors_click(struct pg_visitors *visitors, uint64_t visitor, int64_t time_ms)
{
    int64_t before_ms = INT64_MIN;
    pthread_mutex_lock(&visitors->mutex);
    struct visitor *found = find(visitors, visitor);
    if (found) before_ms = found->time_ms;
    if (!found) found = oldest(visitors, visitor);
    if (before_ms < time_ms) *found = (struct visitor){visitor, time_ms};
    pthread_mutex_unlock(&visitors->mutex);
    return before_ms;
}

void pg_visitors_take_back(struct pg_visitors *visitors, uint64_t visitor, int64_t time_ms,
                           int64_t before_ms)
{
    pthread_mutex_lock(&visitors->mutex);
    struct visitor *found = find(visitors, visitor);
    if (found && found->time_ms == time_ms && before_ms < time_ms)
        found->time_ms = before_ms > 0 ? before_ms : 0;
    pthread_mutex_unlock(&visitors->mutex);
}
