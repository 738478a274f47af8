#pragma once

#include "base/err.h"
#include "base/span.h"
#include "store/keys.h"

/* DIR/secrets.json, mode 0400: key material apart from the events, which users are invited to read.
 * Replaced as a whole: a new file is written, synced, renamed over the old one, and the directory
 * synced. */

/* `dir_fd`: the data directory. ERR_NOT_FOUND, ERR_DENIED, ERR_IO; ERR_CORRUPT: not the bytes that
 * secrets_write wrote. */
enum err secrets_read(struct secrets *secrets, int dir_fd);
enum err secrets_write(const struct secrets *secrets, int dir_fd);

/* The file as it stands, of at most SECRETS_TEXT_MAX bytes: for backups. What is put has to be what
 * secrets_write wrote, else ERR_CORRUPT. */
enum { SECRETS_TEXT_MAX = 32 * 1024 };
enum err secrets_read_text(struct span *text, char memory[SECRETS_TEXT_MAX], int dir_fd);
enum err secrets_put_text(struct span text, int dir_fd);
