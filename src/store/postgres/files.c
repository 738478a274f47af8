#include "store/engine.h"

#include <libpq-fe.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What libpq opens when it connects, which it does again long after the start. */

enum { FILE_PATH_MAX = 1024, PASSWD_TEXTS_MAX = 4096 };

static bool names_a_file(const char *keyword)
{
    static const char *const keywords[] = {"passfile",    "sslcert", "sslkey",
                                           "sslrootcert", "sslcrl",  "sslcrldir"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keyword, keywords[i]) == 0) return true;
    return false;
}

/* The directory: whoever puts a new file in the place of one gives it another inode. */
static void tell_directory(const char *path, void (*on_file)(const char *path, void *arg),
                           void *arg)
{
    char dir[FILE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || !slash || slash == path) return;
    int len = snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    if (len > 0 && (size_t)len < sizeof dir) on_file(dir, arg);
}

static void tell_named(PQconninfoOption *options, void (*on_file)(const char *path, void *arg),
                       void *arg)
{
    for (PQconninfoOption *option = options; option && option->keyword; option++)
        if (option->val && names_a_file(option->keyword)) tell_directory(option->val, on_file, arg);
    PQconninfoFree(options);
}

/* Where libpq looks when nothing is named. */
static void tell_home(void (*on_file)(const char *path, void *arg), void *arg)
{
    static const char *const names[] = {".pgpass", ".postgresql"};
    struct passwd user, *found = NULL;
    char path[FILE_PATH_MAX], texts[PASSWD_TEXTS_MAX];
    if (getpwuid_r(geteuid(), &user, texts, sizeof texts, &found) || !found) return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (snprintf(path, sizeof path, "%s/%s", found->pw_dir, names[i]) < (int)sizeof path)
            on_file(path, arg);
}

void pg_store_each_file(const char *url, void (*on_file)(const char *path, void *arg), void *arg)
{
    tell_named(PQconninfoParse(url, NULL), on_file, arg);
    tell_named(PQconndefaults(), on_file, arg); /* of the environment */
    tell_home(on_file, arg);
}
