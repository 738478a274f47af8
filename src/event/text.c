#include "event/text.h"

#include "base/limits.h"

#include <string.h>

enum { LABEL_LEN_MAX = 63, HOST_LEN_MAX = 253, PORT_MAX = 65535 };

/* What stands between `scheme://` and the path, taken apart; absent parts were not there. */
struct authority {
    struct span user_info, host, port;
};

/* Bytes of the white space character that `text` begins with, or 0. */
static size_t white_space_len(struct span text)
{
    static const struct span others[] = {
        {"\xc2\x85", 2},     {"\xc2\xa0", 2},     {"\xe1\x9a\x80", 3}, {"\xe2\x80\xa8", 3},
        {"\xe2\x80\xa9", 3}, {"\xe2\x80\xaf", 3}, {"\xe2\x81\x9f", 3}, {"\xe3\x80\x80", 3},
    };
    unsigned char first = (unsigned char)text.ptr[0];
    if (first == ' ' || (first >= '\t' && first <= '\r')) return 1;
    if (first < 0x80) return 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (span_starts_with(text, others[i])) return others[i].len;
    /* U+2000 to U+200A: the typographic spaces */
    bool typographic = text.len >= 3 && span_starts_with(text, SPAN("\xe2\x80")) &&
                       (unsigned char)text.ptr[2] >= 0x80 && (unsigned char)text.ptr[2] <= 0x8a;
    return typographic ? 3 : 0;
}

bool text_is_blank(struct span text)
{
    while (text.len > 0) {
        size_t len = white_space_len(text);
        if (len == 0) return false;
        text = (struct span){text.ptr + len, text.len - len};
    }
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

/* The span after `prefix`, or absent. */
static struct span after_scheme(struct span url, struct span prefix)
{
    bool match =
        url.len >= prefix.len && span_eq_nocase((struct span){url.ptr, prefix.len}, prefix);
    return match ? (struct span){url.ptr + prefix.len, url.len - prefix.len} : SPAN_NONE;
}

static struct span before_path(struct span text)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '/' && text.ptr[len] != '?' && text.ptr[len] != '#')
        len++;
    return (struct span){text.ptr, len};
}

/* A colon inside brackets belongs to an IPv6 literal. */
static void split_port(struct authority *out)
{
    const char *end = out->host.ptr + out->host.len;
    const char *from = out->host.ptr;
    if (from < end && *from == '[') from = memchr(from, ']', out->host.len);
    const char *colon = from ? memchr(from, ':', (size_t)(end - from)) : NULL;
    if (!colon) return;
    out->port = (struct span){colon + 1, (size_t)(end - colon) - 1};
    out->host.len = (size_t)(colon - out->host.ptr);
}

static bool split_authority(struct span url, struct authority *out)
{
    struct span rest = after_scheme(url, SPAN("http://"));
    if (!rest.ptr) rest = after_scheme(url, SPAN("https://"));
    if (!rest.ptr) return false;
    *out = (struct authority){.host = before_path(rest)};
    /* To browsers a backslash begins the path, to others it is user info: take no side. */
    if (memchr(out->host.ptr, '\\', out->host.len)) return false;
    /* Sloppy clients leave `@` raw in user info, so the last one ends it, as browsers have it. */
    const char *at = memrchr(out->host.ptr, '@', out->host.len);
    if (at) {
        out->user_info = (struct span){out->host.ptr, (size_t)(at - out->host.ptr)};
        out->host = (struct span){at + 1, out->host.len - out->user_info.len - 1};
    }
    split_port(out);
    return true;
}

static bool is_port(struct span port)
{
    unsigned long long number = 0;
    return port.len == 0 || (span_to_u64(port, PORT_MAX, &number) && number > 0);
}

static bool is_label(struct span label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!is_alnum(label.ptr[i]) && label.ptr[i] != '-' && label.ptr[i] != '_') return false;
    return label.len >= 1 && label.len <= LABEL_LEN_MAX;
}

static bool is_name(struct span host)
{
    if (host.len > HOST_LEN_MAX) return false;
    for (struct span rest = host; rest.ptr;)
        if (!is_label(span_split(&rest, '.'))) return false;
    return true;
}

static bool is_ipv4(struct span text)
{
    int count = 0;
    while (text.ptr) {
        struct span part = span_split(&text, '.');
        unsigned long long octet = 0;
        if (!span_to_u64(part, 255, &octet)) return false;
        if (part.len > 1 && part.ptr[0] == '0') return false;
        count++;
    }
    return count == 4;
}

static bool is_hex_group(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_digit(text.ptr[i]) && (lower(text.ptr[i]) < 'a' || lower(text.ptr[i]) > 'f'))
            return false;
    return text.len >= 1 && text.len <= 4;
}

/* The number of 16-bit groups in `text`, which holds no `::`; -1 when it is malformed. An IPv4 tail
 * is two groups. Nothing at all is none. */
static int count_groups(struct span text, bool is_tail)
{
    int count = 0;
    if (text.len == 0) return 0;
    while (text.ptr) {
        struct span group = span_split(&text, ':');
        if (is_tail && !text.ptr && is_ipv4(group))
            count += 2;
        else if (is_hex_group(group))
            count++;
        else
            return -1;
    }
    return count;
}

static bool is_ipv6(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] != ':' || text.ptr[i + 1] != ':') continue;
        int head = count_groups((struct span){text.ptr, i}, false);
        int tail = count_groups((struct span){text.ptr + i + 2, text.len - i - 2}, true);
        return head >= 0 && tail >= 0 && head + tail <= 7;
    }
    return count_groups(text, true) == 8;
}

/* Without the dot that ends a fully qualified name. */
static bool is_host(struct span host)
{
    if (host.len < 2 || host.ptr[0] != '[') return is_name(host);
    return host.ptr[host.len - 1] == ']' && is_ipv6((struct span){host.ptr + 1, host.len - 2});
}

static bool take_host(struct authority *authority)
{
    struct span *host = &authority->host;
    if (host->len > 1 && host->ptr[0] != '[' && host->ptr[host->len - 1] == '.') host->len--;
    return is_host(*host) && is_port(authority->port);
}

bool text_url_host(struct writer *out, struct span url)
{
    struct authority authority;
    if (!split_authority(url, &authority) || !take_host(&authority)) return false;
    char *at = writer_claim(out, authority.host.len);
    if (!at) return false;
    for (size_t i = 0; i < authority.host.len; i++)
        at[i] = lower(authority.host.ptr[i]);
    return true;
}

bool text_is_landing_url(struct span url)
{
    struct authority authority;
    if (url.len > LIMIT_LANDING_URL) return false;
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\') return false;
    }
    return split_authority(url, &authority) && !authority.user_info.ptr && take_host(&authority);
}
