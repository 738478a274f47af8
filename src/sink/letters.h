#pragma once

#include "sink/post.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The events that a webhook has yet to get, in order of their sequences. One of a key is sent only
 * when no older one of the key is here. */

struct letter {
    uint64_t sequence;
    uint64_t key_hash;
    int64_t due_ms; /* wall clock */
    int64_t recorded_at_ms;
    char *text; /* NULL: to be read again when it is sent */
    size_t text_len;
    struct post *post; /* while it is on its way */
    uint32_t attempts;
    enum op_kind table;
};

struct letters {
    struct letter **list;
    size_t count, cap;
    uint64_t *seen; /* hashes of keys, in one look for what is ready */
    size_t seen_cap;
};

bool letters_open(struct letters *letters, size_t cap);
void letters_close(struct letters *letters);

/* A new one in its place, or the one that is there already; NULL: no room. */
struct letter *letters_add(struct letters *letters, uint64_t sequence);
void letters_remove(struct letters *letters, struct letter *letter);

/* Fills in what an event says. */
bool letter_fill(struct letter *letter, const struct store_feed_event *event);
void letter_forget_text(struct letter *letter);

/* The first ones that may be sent now, in order, at most `cap`; their number. */
size_t letters_ready(struct letters *letters, int64_t now_ms, struct letter **out, size_t cap);
