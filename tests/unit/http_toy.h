#pragma once

#include "base/writer.h"
#include "http/http.h"

#include <stddef.h>
#include <sys/types.h>

/* A server on a thread of its own that says what it was asked.
 *
 *   /small        takes 16 bytes of body         /mint     takes LIMIT_MINT_BODY
 *   /async        answers in a later turn        /hold     answers when toy_release is called
 *   /big?N        N bytes, borrowed              /copied?N N bytes, copied
 *   /204 /304     answer with that status        /close    asks for a close
 *   /stream       an answer without an end: "hello", and what follows is sent to it
 *   /feed?N       N bytes; 1, or 0 when the stream is gone
 *   /unstream     closes it                      /ended    how many ended without that
 *   /peer         the family of the peer         /user     counts in the connection's user bytes
 *   everything else: "METHOD path query body"; a body past 40 bytes as its length and hash */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TOY_SANITIZED /* resident memory says nothing then */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TOY_SANITIZED
#endif
#endif

struct toy;

/* Starts from small limits: http_rows.h's, and timeouts of a minute. */
struct toy *toy_start(void (*adjust)(struct http_options *options));
void toy_stop(struct toy *toy); /* answers what is held, drains, and waits until it is idle */

int toy_connect(const struct toy *toy);
int toy_connect_unix(const struct toy *toy);
size_t toy_held(struct toy *toy); /* requests waiting for toy_release */
void toy_release(struct toy *toy);
void toy_drain(struct toy *toy);
void toy_block(struct toy *toy); /* until toy_unblock: what comes meanwhile waits in the kernel */
void toy_unblock(struct toy *toy);
void toy_unblock_draining(struct toy *toy); /* toy_drain before it looks at anything else */
struct http_stats toy_stats(struct toy *toy);
void toy_wait_conns(struct toy *toy, size_t count); /* until so many are open; fails after 5 s */

/* Byte i of what /big and /copied send. */
char toy_pattern(size_t i);
uint32_t toy_hash(const char *text, size_t len);

/* A body as answers tell it: as it is, or as its length and hash. */
void toy_put_body(struct writer *out, struct span body);
