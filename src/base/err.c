#include "base/err.h"

#include "base/assert.h"

const char *err_text(enum err err)
{
    static const char *const texts[ERR_COUNT] = {
        [ERR_OK] = "no error",
        [ERR_FULL] = "no space left",
        [ERR_IO] = "input/output error",
        [ERR_SYNC_FAILED] = "the disk refused to make data durable",
        [ERR_BUSY] = "in use",
        [ERR_NOT_FOUND] = "not found",
        [ERR_FOREIGN] = "not made by adtally, or by another version of it",
        [ERR_CORRUPT] = "content is damaged",
        [ERR_CORRUPT_ROW] = "a row is damaged",
        [ERR_NO_MEMORY] = "out of memory",
        [ERR_DENIED] = "permission denied",
    };
    ASSERT(err < ERR_COUNT && texts[err]);
    return texts[err];
}
