#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A client of http_toy.h's server, a call at a time. */

struct stream {
    char *text;
    size_t len;
    bool is_reset; /* ended by ECONNRESET, not by the end of the stream */
};

/* All of it unless the server closes meanwhile: then what it took. */
size_t client_send(int fd, const char *text, size_t len);
void client_send_text(int fd, const char *text);
/* In pieces that end at cuts[i], each a read of its own most of the time. */
void client_send_cut(int fd, const char *text, const size_t *cuts, size_t count);
void client_pause_ms(unsigned ms);
struct stream client_read_all(int fd); /* to the end; fails after 10 s */
struct stream client_read_responses(int fd, size_t count, bool to_head);

/* "200 body | 400 close | 100 | ...", with " keep-alive" and " retry" where the headers are. Checks
 * that each has exactly one Date. `to_head`: the responses have no bodies. The result is static. */
const char *client_describe(const char *text, size_t len, bool to_head);

/* The whole stream, as client_describe tells it, and no reset. */
void client_expect(struct stream stream, const char *expected);

/* Sends a body with its length, and expects what the toy says of it. */
void client_expect_sized_body(int fd, const char *path, size_t len);
