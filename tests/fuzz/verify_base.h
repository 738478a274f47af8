#pragma once

#include "base/span.h"

/* The databases that verify_fuzz.c damages: real ones, recorded by the store, of pages of 512
 * bytes, so that a little of everything is there: several levels of trees, overflow pages. Kept in
 * memory. */

enum { BASE_PAGE_SIZE = 512, BASE_IMAGES_MAX = 16 };

struct base_image {
    struct span database;
    struct span wal;    /* absent: all of it is in the database */
    const char *damage; /* what `adtally verify` says of it; NULL: it is sound */
};

/* Made once, in `dir`, which has to be empty and is again afterwards. Returns how many. */
size_t base_make(struct base_image images[BASE_IMAGES_MAX], const char *dir);

/* Files by their name in `dir`. Reading: absent when there is none, to be freed. */
void base_write_file(const char *dir, const char *name, struct span bytes);
struct span base_read_file(const char *dir, const char *name);
void base_remove_file(const char *dir, const char *name);
