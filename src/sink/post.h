#pragma once

#include "sink/config.h"
#include "sink/driver.h"

#include <curl/curl.h>
#include <stdbool.h>

/* Requests by libcurl: POST, no redirects, certificates checked, bodies of answers thrown away and
 * bounded, absolute timeouts. */

struct post_target {
    char *url, *ca_file; /* ca_file: NULL: the system's */
    int64_t timeout_ms;
    struct curl_slist *headers; /* those of headers_file */
};

bool post_target_open(struct post_target *target, const struct sink_config *config,
                      struct sink_failure *failure);
void post_target_close(struct post_target *target);

struct post {
    CURL *easy;
    struct curl_slist *headers;
    size_t received_len; /* of the answer's body */
};

/* `body` stays the caller's, in place until the answer is there. */
bool post_begin(struct post *post, const struct post_target *target, struct span body);
bool post_header(struct post *post, const char *format, ...) __attribute__((format(printf, 2, 3)));
void post_ready(struct post *post); /* after the last header */
void post_end(struct post *post);

/* Whether it was acknowledged with a 2xx; else `failure` says what came instead. */
bool post_judge(struct post *post, CURLcode code, struct sink_failure *failure);

/* All of a file that holds something secret, as text that ends with NUL; to be released by
 * post_wipe. NULL: `failure` says why. */
enum { POST_FILE_MAX = 16 * 1024 };
char *post_read_secret(struct span path, struct sink_failure *failure);
void post_wipe(char *text);

char *post_text(struct span text); /* a copy with NUL; NULL when absent or no memory */
