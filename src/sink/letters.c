#include "sink/letters.h"

#include <stdlib.h>
#include <string.h>

bool letters_open(struct letters *letters, size_t cap)
{
    *letters = (struct letters){.cap = cap, .seen_cap = 64};
    while (letters->seen_cap < 2 * cap)
        letters->seen_cap *= 2;
    letters->list = calloc(cap, sizeof(void *));
    letters->seen = calloc(letters->seen_cap, sizeof *letters->seen);
    return letters->list && letters->seen;
}

void letters_close(struct letters *letters)
{
    while (letters->count)
        letters_remove(letters, letters->list[letters->count - 1]);
    free(letters->list);
    free(letters->seen);
}

/* Where the first one of at least `sequence` stands, or would. */
static size_t place_of(const struct letters *letters, uint64_t sequence)
{
    size_t low = 0, high = letters->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (letters->list[middle]->sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct letter *letters_add(struct letters *letters, uint64_t sequence)
{
    size_t at = place_of(letters, sequence);
    if (at < letters->count && letters->list[at]->sequence == sequence) return letters->list[at];
    struct letter *letter = letters->count < letters->cap ? calloc(1, sizeof *letter) : NULL;
    if (!letter) return NULL;
    letter->sequence = sequence;
    memmove(&letters->list[at + 1], &letters->list[at], (letters->count - at) * sizeof(void *));
    letters->list[at] = letter;
    letters->count++;
    return letter;
}

void letters_remove(struct letters *letters, struct letter *letter)
{
    size_t at = place_of(letters, letter->sequence);
    letters->count--;
    memmove(&letters->list[at], &letters->list[at + 1], (letters->count - at) * sizeof(void *));
    if (letter->post) {
        post_end(letter->post);
        free(letter->post);
    }
    free(letter->text);
    free(letter);
}

/* FNV-1a: keys that share a hash wait for each other, no more. */
static uint64_t hash_of(struct span key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1; /* 0 is an empty place */
}

bool letter_fill(struct letter *letter, const struct store_feed_event *event)
{
    letter_forget_text(letter);
    letter->key_hash = hash_of(event->key);
    letter->recorded_at_ms = event->recorded_at_ms;
    letter->table = event->table;
    letter->text = strndup(event->text.ptr, event->text.len);
    letter->text_len = event->text.len;
    return letter->text;
}

void letter_forget_text(struct letter *letter)
{
    free(letter->text);
    letter->text = NULL;
}

/* True the first time. */
static bool see(struct letters *letters, uint64_t hash)
{
    size_t at = hash & (letters->seen_cap - 1);
    while (letters->seen[at] && letters->seen[at] != hash)
        at = (at + 1) & (letters->seen_cap - 1);
    bool is_first = !letters->seen[at];
    letters->seen[at] = hash;
    return is_first;
}

size_t letters_ready(struct letters *letters, int64_t now_ms, struct letter **out, size_t cap)
{
    size_t count = 0;
    memset(letters->seen, 0, letters->seen_cap * sizeof letters->seen[0]);
    for (size_t i = 0; i < letters->count && count < cap; i++) {
        struct letter *letter = letters->list[i];
        if (see(letters, letter->key_hash) && !letter->post && letter->due_ms <= now_ms)
            out[count++] = letter;
    }
    return count;
}
