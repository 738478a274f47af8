#pragma once

/* A failure of the world outside the process. A refusal of a request is data (enum outcome), a bug
 * is an ASSERT; neither is an enum err. */
enum err {
    ERR_OK = 0,
    ERR_FULL,        /* no space left, or a bounded resource is exhausted: try again later */
    ERR_IO,          /* an I/O call failed; what was being written did not happen */
    ERR_SYNC_FAILED, /* fsync failed: the page cache can no longer be trusted, the process must end
                      */
    ERR_BUSY,        /* somebody else holds it */
    ERR_NOT_FOUND,
    ERR_FOREIGN,     /* it exists, but it is not ours or not of a version we read */
    ERR_CORRUPT,     /* it is ours, but its content contradicts itself */
    ERR_CORRUPT_ROW, /* one row of it is; others may be trusted */
    ERR_NO_MEMORY,
    ERR_DENIED,
    ERR_UNREACHABLE, /* the database, or its answer */
    ERR_REFUSED,     /* by the database */
    ERR_COUNT,
};

/* A lower-case phrase without a full stop, for "cannot open X: <phrase>". Static. */
const char *err_text(enum err err);

/* What an operator does about it, in the same form: "make room on its disk". Static. */
const char *err_advice(enum err err);
