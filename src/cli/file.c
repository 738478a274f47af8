#include "cli/file.h"

#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

void file_say_unreadable(struct span path, int code)
{
    say("cannot read %.*s: %s; %s", SPAN_FMT(path), strerror(code),
        code == EACCES ? "run it as a user who may" : "see whether the path is right");
}

static int open_input(void)
{
    if (isatty(STDIN_FILENO)) say("reading what you type; Ctrl-D ends it, Ctrl-C gives up");
    return STDIN_FILENO;
}

static int open_path(struct span path)
{
    char text[PATH_SIZE];
    if (span_eq(path, SPAN("-"))) return open_input();
    if ((size_t)snprintf(text, sizeof text, "%.*s", SPAN_FMT(path)) >= sizeof text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(text, O_RDONLY | O_CLOEXEC);
}

/* -1: failed. One byte past `size` is tried for, to tell a larger file. */
static ssize_t read_all(int fd, char *memory, size_t size)
{
    size_t len = 0;
    for (;;) {
        char past_the_end;
        ssize_t got =
            read(fd, len < size ? memory + len : &past_the_end, len < size ? size - len : 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) return (ssize_t)len;
        if (len == size) {
            errno = EFBIG;
            return -1;
        }
        len += (size_t)got;
    }
}

bool file_read(struct span path, char *memory, size_t size, struct span *text)
{
    int fd = open_path(path);
    ssize_t len = fd >= 0 ? read_all(fd, memory, size) : -1;
    int code = errno;
    if (fd > STDIN_FILENO) close(fd);
    *text = (struct span){memory, len < 0 ? 0 : (size_t)len};
    if (len >= 0) return true;
    if (fd >= 0 && code == EFBIG)
        say("%.*s is larger than %zu bytes; see whether it is the right file", SPAN_FMT(path),
            size);
    else
        file_say_unreadable(path, code);
    return false;
}

bool file_read_line(struct span path, char *memory, size_t size, struct span *text)
{
    if (!file_read(path, memory, size, text)) return false;
    if (text->len > 0 && text->ptr[text->len - 1] == '\n') text->len--;
    if (text->len > 0 && text->ptr[text->len - 1] == '\r') text->len--;
    return true;
}
