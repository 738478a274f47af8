#include "base/err.h"

#include "base/assert.h"

struct row {
    const char *text, *advice;
};

static const struct row rows[ERR_COUNT] = {
    [ERR_OK] = {"no error", "nothing to do"},
    [ERR_FULL] = {"no space left", "make room on its disk"},
    [ERR_IO] = {"input/output error", "look at the disk and the kernel's log"},
    [ERR_SYNC_FAILED] = {"the disk refused to make data durable",
                         "look at the disk and the kernel's log, then start again"},
    [ERR_BUSY] = {"in use", "end what uses it, then try again"},
    [ERR_NOT_FOUND] = {"not found", "see whether the path is right"},
    [ERR_FOREIGN] = {"not made by adtally, or by another version of it",
                     "use the adtally that made it, or name another directory"},
    [ERR_CORRUPT] = {"content is damaged", "adtally verify tells more; restore a backup"},
    [ERR_CORRUPT_ROW] = {"a row is damaged", "adtally verify tells more; restore a backup"},
    [ERR_NO_MEMORY] = {"out of memory", "give it more memory, or lower the limits it was given"},
    [ERR_DENIED] = {"permission denied", "run it as the user that owns the files"},
    [ERR_UNREACHABLE] = {"the database cannot be reached",
                         "the log's database_unreachable says why; nothing has to be restarted"},
    [ERR_REFUSED] = {"the database refused", "the log's database_refuses says why and what to do"},
};

static const struct row *row_of(enum err err)
{
    ASSERT(err < ERR_COUNT && rows[err].text && rows[err].advice);
    return &rows[err];
}

const char *err_text(enum err err)
{
    return row_of(err)->text;
}

const char *err_advice(enum err err)
{
    return row_of(err)->advice;
}
