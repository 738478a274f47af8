#include "sink/post.h"

#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 * 1024, HEADER_MAX = 8192 };

/* clang-tidy 14 knows va_start only in the first file of a run. */
void sink_fail(struct sink_failure *failure, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure->reason, sizeof failure->reason, format, /* NOLINT(*-valist.Uninitialized) */
              arguments);
    va_end(arguments);
}

char *post_text(struct span text)
{
    return text.ptr ? strndup(text.ptr, text.len) : NULL;
}

char *post_read_secret(struct span path, struct sink_failure *failure)
{
    char *name = post_text(path);
    char *text = secret_new(POST_FILE_MAX);
    int fd = name && text ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t len = fd >= 0 ? read(fd, text, POST_FILE_MAX) : -1;
    if (len < 0 || len == POST_FILE_MAX) {
        const char *why = len < 0 ? strerror(errno) : "it is larger than 16 KiB";
        sink_fail(failure, "%.24s: %.36s", name ? basename(name) : "", why);
        post_wipe(text);
        text = NULL;
    }
    if (fd >= 0) close(fd);
    free(name);
    return text;
}

void post_wipe(char *text)
{
    secret_free(text, POST_FILE_MAX);
}

static bool add_header(struct curl_slist **list, const char *header)
{
    struct curl_slist *grown = curl_slist_append(*list, header);
    if (grown) *list = grown;
    return grown;
}

/* Lines of `Name: value`. */
static bool read_headers(struct post_target *target, struct span path, struct sink_failure *failure)
{
    char header[HEADER_MAX];
    char *text = post_read_secret(path, failure);
    if (!text) return false;
    struct span rest = span_of(text);
    bool is_good = true;
    while (rest.ptr && is_good) {
        struct span line = span_trim(span_split(&rest, '\n'));
        if (line.len == 0 || line.ptr[0] == '#') continue;
        is_good = memchr(line.ptr, ':', line.len) && !memchr(line.ptr, '\r', line.len) &&
                  (size_t)snprintf(header, sizeof header, "%.*s", SPAN_FMT(line)) < sizeof header &&
                  add_header(&target->headers, header);
    }
    explicit_bzero(header, sizeof header);
    post_wipe(text);
    if (!is_good) sink_fail(failure, "headers_file has a line that is no header");
    return is_good;
}

bool post_target_open(struct post_target *target, const struct sink_config *config,
                      struct sink_failure *failure)
{
    *target = (struct post_target){.url = post_text(config->url),
                                   .ca_file = post_text(config->ca_file),
                                   .timeout_ms = config->timeout_ms};
    if (!target->url) {
        sink_fail(failure, "no memory");
        return false;
    }
    return !config->headers_file.ptr || read_headers(target, config->headers_file, failure);
}

void post_target_close(struct post_target *target)
{
    curl_slist_free_all(target->headers);
    free(target->url);
    free(target->ca_file);
    *target = (struct post_target){0};
}

/* What is past the bound ends the transfer: the status has come by then. */
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct post *post = arg;
    post->received_len += size * count;
    return post->received_len <= ANSWER_MAX ? size * count : 0;
}

bool post_begin(struct post *post, const struct post_target *target, struct span body)
{
    CURL *easy = post->easy ? post->easy : curl_easy_init();
    *post = (struct post){.easy = easy};
    if (!easy) return false;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, target->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)target->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)target->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "adtally-sinks/" ADTALLY_VERSION);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.ptr);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, post);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, post);
    if (target->ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, target->ca_file);
    bool is_good = add_header(&post->headers, "Expect:");
    for (const struct curl_slist *at = target->headers; at && is_good; at = at->next)
        is_good = add_header(&post->headers, at->data);
    return is_good;
}

bool post_header(struct post *post, const char *format, ...)
{
    char header[HEADER_MAX];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(header, sizeof header, format, /* NOLINT(*-valist.Uninitialized) */
                        arguments);
    va_end(arguments);
    return len >= 0 && (size_t)len < sizeof header && add_header(&post->headers, header);
}

void post_ready(struct post *post)
{
    curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers);
}

void post_end(struct post *post)
{
    curl_slist_free_all(post->headers);
    if (post->easy) curl_easy_cleanup(post->easy);
    *post = (struct post){0};
}

bool post_judge(struct post *post, CURLcode code, struct sink_failure *failure)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    bool has_status = code == CURLE_OK || (code == CURLE_WRITE_ERROR && status);
    if (has_status && status >= 200 && status < 300) return true;
    if (has_status)
        sink_fail(failure, "HTTP %ld", status);
    else
        sink_fail(failure, "%.60s", curl_easy_strerror(code));
    failure->retry_after_ms = has_status ? (int64_t)retry_after_s * 1000 : 0;
    failure->is_gone = has_status && status == 410;
    return false;
}
