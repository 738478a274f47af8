#include "store/sqlite/page_sums.h"

#include "store/checksum.h"

#include <sqlite3.h>
#include <string.h>

enum { PAGE_SIZE = 4096, HEADER_MAX = 512, SUMMED_SIZE = PAGE_SIZE - PAGE_SUMS_SIZE };

/* SQLite's memory for a file: this, and behind it the file of the VFS below. */
struct summed_file {
    sqlite3_file base;
    bool is_lenient; /* what is damaged can be read: to empty it */
};

static sqlite3_file *below(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct summed_file *)(void *)file + 1);
}

/* A page in the place of another has another sum, and one of zeros has not zero. */
static uint64_t sum_of(const uint8_t *page, sqlite3_int64 offset)
{
    uint64_t sum = checksum_add_i64(0, offset + 1);
    return checksum_add(sum, CHECKSUM_BLOB, page, SUMMED_SIZE);
}

static bool is_whole(const uint8_t *page, sqlite3_int64 offset)
{
    uint64_t sum = sum_of(page, offset);
    return memcmp(page + SUMMED_SIZE, &sum, sizeof sum) == 0;
}

/* What lies behind the end of the file reads as zeros; half a page is damage. */
static bool is_nothing(const uint8_t *page, int size)
{
    return page[0] == 0 && memcmp(page, page + 1, (size_t)size - 1) == 0;
}

/* Less than a page is read of the first one alone, before it is read whole. */
static int on_read(sqlite3_file *file, void *page, int size, sqlite3_int64 offset)
{
    int code = below(file)->pMethods->xRead(below(file), page, size, offset);
    bool is_short = code == SQLITE_IOERR_SHORT_READ;
    if ((code != SQLITE_OK && !is_short) || size < HEADER_MAX ||
        ((struct summed_file *)(void *)file)->is_lenient)
        return code;
    if (is_short) return is_nothing(page, size) ? code : SQLITE_CORRUPT;
    bool is_page = size == PAGE_SIZE && offset % PAGE_SIZE == 0;
    return is_page && is_whole(page, offset) ? SQLITE_OK : SQLITE_CORRUPT;
}

static int on_write(sqlite3_file *file, const void *page, int size, sqlite3_int64 offset)
{
    uint8_t summed[PAGE_SIZE];
    if (size == PAGE_SIZE) {
        uint64_t sum = sum_of(page, offset);
        memcpy(summed, page, SUMMED_SIZE);
        memcpy(summed + SUMMED_SIZE, &sum, sizeof sum);
        page = summed;
    }
    return below(file)->pMethods->xWrite(below(file), page, size, offset);
}

static int on_control(sqlite3_file *file, int what, void *arg)
{
    if (what != PAGE_SUMS_LENIENT)
        return below(file)->pMethods->xFileControl(below(file), what, arg);
    ((struct summed_file *)(void *)file)->is_lenient = *(bool *)arg;
    return SQLITE_OK;
}

/* -- handed on ----------------------------------------------------------------------------- */

static int on_close(sqlite3_file *file)
{
    return below(file)->pMethods->xClose(below(file));
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return below(file)->pMethods->xTruncate(below(file), size);
}

static int on_sync(sqlite3_file *file, int flags)
{
    return below(file)->pMethods->xSync(below(file), flags);
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return below(file)->pMethods->xFileSize(below(file), size);
}

static int on_lock(sqlite3_file *file, int lock)
{
    return below(file)->pMethods->xLock(below(file), lock);
}

static int on_unlock(sqlite3_file *file, int lock)
{
    return below(file)->pMethods->xUnlock(below(file), lock);
}

static int on_check_lock(sqlite3_file *file, int *is_locked)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), is_locked);
}

static int on_sector_size(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int on_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

/* The first version: neither a WAL nor mapped memory goes past on_read. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                   int *flags_out)
{
    sqlite3_vfs *real = vfs->pAppData;
    bool is_summed = (flags & SQLITE_OPEN_MAIN_DB) && sqlite3_uri_boolean(name, "page_sums", 0);
    if (!is_summed) return real->xOpen(real, name, file, flags, flags_out);
    memset(file, 0, sizeof(struct summed_file));
    int code = real->xOpen(real, name, below(file), flags, flags_out);
    if (below(file)->pMethods) file->pMethods = &methods;
    return code;
}

bool page_sums_register(void)
{
    static sqlite3_vfs vfs;
    if (sqlite3_vfs_find(PAGE_SUMS_VFS)) return true;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    if (!real) return false;
    vfs = *real;
    vfs.zName = PAGE_SUMS_VFS;
    vfs.szOsFile += (int)sizeof(struct summed_file);
    vfs.pAppData = real;
    vfs.pNext = NULL;
    vfs.xOpen = on_open;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
}
