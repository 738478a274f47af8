#pragma once

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The logs of a data directory's indexes, as files to be harmed: losing them must cost nothing but
 * time. */

enum { LOG_FILES_MAX = 64, LOG_FILE_MAX = 8 << 20 };

struct log_file {
    char name[64];
    char *bytes;
    size_t size;
};
struct log_files {
    struct log_file files[LOG_FILES_MAX];
    size_t count;
};

static inline void log_file_path(char path[512], const char *dir, const char *name)
{
    snprintf(path, 512, "%s/%s", dir, name);
}

static inline void log_files_free(struct log_files *logs)
{
    for (size_t i = 0; i < logs->count; i++)
        free(logs->files[i].bytes);
    logs->count = 0;
}

static inline void log_files_take(struct log_files *logs, const char *dir)
{
    char path[512];
    log_files_free(logs);
    DIR *list = opendir(dir);
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        if (strncmp(entry->d_name, "index-", 6) != 0) continue;
        struct log_file *file = &logs->files[logs->count++];
        snprintf(file->name, sizeof file->name, "%.63s", entry->d_name);
        log_file_path(path, dir, file->name);
        file->bytes = malloc(LOG_FILE_MAX);
        FILE *in = fopen(path, "rb");
        file->size = fread(file->bytes, 1, LOG_FILE_MAX, in);
        fclose(in);
    }
    closedir(list);
}

static inline void log_file_write(const struct log_file *file, const char *dir, size_t size)
{
    char path[512];
    log_file_path(path, dir, file->name);
    FILE *out = fopen(path, "wb");
    fwrite(file->bytes, 1, size, out);
    fclose(out);
}

static inline void log_files_remove(const char *dir)
{
    char path[512];
    struct log_files logs = {.count = 0};
    log_files_take(&logs, dir);
    for (size_t i = 0; i < logs.count; i++) {
        log_file_path(path, dir, logs.files[i].name);
        unlink(path);
    }
    log_files_free(&logs);
}

/* Exactly these. */
static inline void log_files_put(const struct log_files *logs, const char *dir)
{
    log_files_remove(dir);
    for (size_t i = 0; i < logs->count; i++)
        log_file_write(&logs->files[i], dir, logs->files[i].size);
}

enum log_harm { HARM_NONE, HARM_REMOVED, HARM_CUT, HARM_FLIPPED, HARM_STALE, HARMS_COUNT };

/* One of them is harmed, at a place that `random` chooses, or all are what they once were. */
static inline void log_files_harm(const char *dir, enum log_harm harm, uint64_t random,
                                  const struct log_files *stale)
{
    char path[512];
    struct log_files logs = {.count = 0};
    log_files_take(&logs, dir);
    if (logs.count > 0 && harm != HARM_STALE) {
        struct log_file *file = &logs.files[random % logs.count];
        size_t at = file->size ? (size_t)(random / logs.count % file->size) : 0;
        log_file_path(path, dir, file->name);
        if (harm == HARM_REMOVED) unlink(path);
        if (harm == HARM_CUT) log_file_write(file, dir, at);
        if (harm == HARM_FLIPPED && file->size) {
            file->bytes[at] = (char)(file->bytes[at] ^ 1 << random % 8);
            log_file_write(file, dir, file->size);
        }
    }
    if (harm == HARM_STALE && stale->count) log_files_put(stale, dir);
    log_files_free(&logs);
}
