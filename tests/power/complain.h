#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What was found, of the seed under way. */
struct findings {
    uint64_t lost, doubled, phantom, other;
    char first[512];
};
extern struct findings findings;

/* Remembers the first complaint; returns false, for `return complain(...)`. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool has_complaint(void);
void forget_complaints(void);
