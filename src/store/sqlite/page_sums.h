#pragma once

#include <stdbool.h>

/* Databases whose pages end with a checksum of theirs: damage anywhere in one is SQLITE_CORRUPT to
 * who reads it, in a tree's shape as well as in a row. Of files that are opened by the VFS of this
 * name with PAGE_SUMS_URI, in rollback mode; SQLite itself keeps the room free. */
#define PAGE_SUMS_VFS "adtally-page-sums"
#define PAGE_SUMS_URI "page_sums=1"

enum { PAGE_SUMS_SIZE = 8, PAGE_SUMS_LENIENT = 0x41445453 /* a file control: bool *, off or on */ };

/* Again does nothing. False: there is no memory. */
bool page_sums_register(void);
