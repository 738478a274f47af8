#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void found(const char *what)
{
    fprintf(stderr, "finding: %s\n", what);
    abort();
}

bool lies(const char *name)
{
    static const char *lie;
    if (!lie) lie = getenv("ADTALLY_FUZZ_LIE");
    if (!lie) lie = "";
    return *lie && strcmp(lie, name) == 0;
}

uint8_t choose_byte(struct choices *from)
{
    if (from->left == 0) return 0;
    from->left--;
    return *from->at++;
}

uint32_t choose_below(struct choices *from, uint32_t bound)
{
    uint32_t number = choose_byte(from);
    if (bound > 256) number = number << 8 | choose_byte(from);
    return number % bound;
}

struct span choose_text(struct choices *from, size_t len_max)
{
    size_t len = choose_below(from, len_max < 65535 ? (uint32_t)len_max + 1 : 65536);
    if (len > from->left) len = from->left;
    struct span text = {(const char *)from->at, len};
    from->at += len;
    from->left -= len;
    return text;
}

struct span choose_rest(struct choices *from)
{
    struct span rest = {from->at ? (const char *)from->at : "", from->left};
    from->left = 0;
    return rest;
}

struct span own_copy(struct span text)
{
    char *copy = malloc(text.len ? text.len : 1);
    require(copy != NULL, "no memory");
    if (text.len) memcpy(copy, text.ptr, text.len);
    return (struct span){copy, text.len};
}

void own_free(struct span text)
{
    free((char *)(uintptr_t)text.ptr);
}

char *c_text(struct span text)
{
    char *copy = malloc(text.len + 1);
    require(copy != NULL, "no memory");
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}
