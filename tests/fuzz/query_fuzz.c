#include "event/query.h"

#include "base/limits.h"
#include "event/text.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Query strings and the URLs around them. The second opinion takes a query apart into a list of
 * decoded pairs first and looks at that; hosts are judged by a regular expression and inet_pton.
 *
 * Input: a byte that chooses one of the parts below, then what that part reads. */

enum { TEXT_MAX = 4096, PARTS_MAX = 2048 };

/* -- the second opinion on queries ---------------------------------------------------------- */

/* Decodes as browsers do; *is_broken when a % begins no escape. To be freed. */
static struct span decoded(struct span raw, bool *is_broken)
{
    char *text = malloc(raw.len + 1), digits[3] = "";
    size_t len = 0;
    *is_broken = false;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        bool is_escape = c == '%' && raw.len - i > 2 && isxdigit((unsigned char)raw.ptr[i + 1]) &&
                         isxdigit((unsigned char)raw.ptr[i + 2]);
        if (is_escape) {
            memcpy(digits, raw.ptr + i + 1, 2);
            c = (char)strtol(digits, NULL, 16);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            *is_broken = true;
        }
        text[len++] = c;
    }
    return (struct span){text, len};
}

struct part {
    struct span whole, raw_name, raw_value;
};

struct list {
    struct part parts[PARTS_MAX];
    size_t count;
};

/* The parts that are not empty. */
static void take_apart(struct list *list, struct span query)
{
    list->count = 0;
    if (!query.ptr) return;
    const char *end = query.ptr + query.len, *start = query.ptr;
    for (const char *at = start; at <= end; at++) {
        if (at < end && *at != '&') continue;
        struct part part = {.whole = {start, (size_t)(at - start)}};
        const char *equals = part.whole.len ? memchr(start, '=', part.whole.len) : NULL;
        part.raw_name = (struct span){start, equals ? (size_t)(equals - start) : part.whole.len};
        part.raw_value = equals ? (struct span){equals + 1, (size_t)(at - equals) - 1} : SPAN("");
        if (part.whole.len) list->parts[list->count++] = part;
        start = at + 1;
    }
}

static bool is_named(const struct part *part, struct span name)
{
    bool is_broken;
    struct span own = decoded(part->raw_name, &is_broken);
    bool same = span_eq(own, name);
    own_free(own);
    return same;
}

/* -- finding and decoding ------------------------------------------------------------------- */

static void check_decoding(struct span raw)
{
    char memory[TEXT_MAX];
    bool is_broken;
    struct writer ours;
    writer_init(&ours, memory, sizeof memory);
    struct span expected = decoded(raw, &is_broken);
    bool accepted = query_decode(&ours, raw) ^ lies("escape");
    require(accepted == !is_broken, "another verdict on an escape");
    if (lies("decoded") && ours.len) memory[0]++;
    require(span_eq(writer_text(&ours), accepted ? expected : SPAN("")), "decoded otherwise");
    own_free(expected);
}

static void fuzz_find(struct choices *from)
{
    static struct list list;
    struct span name = choose_text(from, 15), query = own_copy(choose_rest(from));
    struct span raw = SPAN("untouched"), first = raw;
    size_t count = 0;
    if (query.len < PARTS_MAX) {
        take_apart(&list, query);
        for (size_t i = 0; i < list.count; i++)
            if (is_named(&list.parts[i], name) && count++ == 0) first = list.parts[i].raw_value;
        enum query_found found = query_find(query, name, &raw);
        if (lies("found")) found = QUERY_ABSENT;
        require(found == (count == 0   ? QUERY_ABSENT
                          : count == 1 ? QUERY_ONCE
                                       : QUERY_REPEATED),
                "found another number of times");
        if (lies("raw")) raw.len++;
        require(span_eq(raw, first), "another value");
        check_decoding(query);
    }
    own_free(query);
}

static void fuzz_encode(struct choices *from)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char memory[3 * TEXT_MAX], back_memory[3 * TEXT_MAX];
    struct span text = own_copy(choose_rest(from));
    struct writer encoded, back;
    writer_init(&encoded, memory, sizeof memory);
    writer_init(&back, back_memory, sizeof back_memory);
    query_encode(&encoded, text);
    if (lies("encoded") && encoded.len) memory[0] = '/';
    for (size_t i = 0; i < encoded.len; i++)
        require(memory[i] && (memory[i] == '%' || strchr(plain, memory[i])), "not encoded");
    bool decodes = query_decode(&back, writer_text(&encoded));
    require(text.len > TEXT_MAX || (decodes && span_eq(writer_text(&back), text)),
            "what is encoded does not come back");
    own_free(text);
}

/* -- adding ---------------------------------------------------------------------------------- */

enum { PAIRS_MAX = 4 };

static size_t choose_pairs(struct query_pair pairs[PAIRS_MAX], struct choices *from)
{
    size_t wanted = choose_below(from, PAIRS_MAX + 1), count = 0;
    while (wanted-- > 0) {
        struct query_pair pair = {choose_text(from, 7), choose_text(from, 15)};
        bool is_new = true;
        if (choose_byte(from) % 4 == 0) pair.value = SPAN_NONE;
        for (size_t i = 0; i < count; i++)
            is_new = is_new && !span_eq(pairs[i].name, pair.name);
        if (is_new) pairs[count++] = pair;
    }
    return count;
}

struct url {
    struct span base, query, fragment;
};

static struct url split_url(struct span text)
{
    struct url url = {.base = text};
    const char *hash = memchr(text.ptr, '#', text.len);
    if (hash) {
        url.base.len = (size_t)(hash - text.ptr);
        url.fragment = (struct span){hash, text.len - url.base.len};
    }
    const char *mark = memchr(text.ptr, '?', url.base.len);
    if (mark) {
        url.query = (struct span){mark + 1, url.base.len - (size_t)(mark - text.ptr) - 1};
        url.base.len = (size_t)(mark - text.ptr);
    }
    return url;
}

static void check_added(const struct part *part, const struct query_pair *pair)
{
    bool is_broken;
    struct span value = decoded(part->raw_value, &is_broken);
    require(is_named(part, pair->name), "another name is added, or in another place");
    require(!is_broken && span_eq(value, pair->value), "another value is added");
    own_free(value);
}

/* What stays stays in its order; the pairs that have a value follow; nothing else. */
static void check_parts(struct span before, struct span after, const struct query_pair *pairs,
                        size_t count)
{
    static struct list old, new;
    size_t at = 0;
    take_apart(&old, before);
    take_apart(&new, after);
    for (size_t i = 0; i < old.count; i++) {
        bool goes = false;
        for (size_t j = 0; j < count; j++)
            goes = goes || is_named(&old.parts[i], pairs[j].name);
        if (goes) continue;
        require(at < new.count &&span_eq(new.parts[at].whole, old.parts[i].whole),
                "a parameter is gone, or another");
        at++;
    }
    for (size_t i = 0; i < count; i++) {
        if (!pairs[i].value.ptr) continue;
        require(at < new.count, "a pair is missing");
        check_added(&new.parts[at++], &pairs[i]);
    }
    require(at == new.count, "a parameter from nowhere");
}

static void fuzz_add(struct choices *from)
{
    char memory[2 * TEXT_MAX];
    struct query_pair pairs[PAIRS_MAX];
    size_t count = choose_pairs(pairs, from);
    struct span text = own_copy(choose_rest(from));
    struct writer out;
    if (text.len < PARTS_MAX - 2 * PAIRS_MAX) {
        writer_init(&out, memory, sizeof memory);
        query_add(&out, text, pairs, count);
        require(!out.overflow, "more is written than was there");
        if (lies("fragment")) memory[out.len - 1] = '#';
        struct url before = split_url(text), after = split_url(writer_text(&out));
        if (lies("added") && after.query.len) after.query.len--;
        if (lies("kept") && after.query.len) memory[after.base.len + 1] ^= 1;
        require(span_eq(before.base, after.base), "another page");
        require(span_eq(before.fragment, after.fragment), "another fragment");
        check_parts(before.query, after.query, pairs, count);
    }
    own_free(text);
}

/* -- hosts and landing URLs ------------------------------------------------------------------ */

static bool matches(struct span text, const char *expression, regex_t *memory, bool *is_ready)
{
    if (!*is_ready)
        require(regcomp(memory, expression, REG_EXTENDED | REG_NOSUB) == 0, "an expression");
    *is_ready = true;
    if (memchr(text.ptr, '\0', text.len)) return false;
    char *copy = c_text(text);
    bool found = regexec(memory, copy, 0, NULL, 0) == 0;
    free(copy);
    return found;
}

static bool is_name(struct span text)
{
    static regex_t memory;
    static bool is_ready;
    return text.len <= 253 &&
           matches(text, "^([A-Za-z0-9_-]{1,63}[.])*[A-Za-z0-9_-]{1,63}$", &memory, &is_ready);
}

static bool is_port(struct span text)
{
    static regex_t memory;
    static bool is_ready;
    if (text.len == 0) return true;
    if (!matches(text, "^0*[1-9][0-9]{0,4}$", &memory, &is_ready)) return false;
    char *copy = c_text(text);
    long port = strtol(copy, NULL, 10);
    free(copy);
    return port <= 65535;
}

static bool is_ipv6(struct span text)
{
    struct in6_addr address;
    if (memchr(text.ptr, '\0', text.len)) return false;
    char *copy = c_text(text);
    bool is_address = inet_pton(AF_INET6, copy, &address) == 1;
    free(copy);
    return is_address;
}

/* What stands between // and the path. */
static bool authority_of(struct span url, struct span *authority)
{
    size_t skip = url.len >= 7 && strncasecmp(url.ptr, "http://", 7) == 0    ? 7
                  : url.len >= 8 && strncasecmp(url.ptr, "https://", 8) == 0 ? 8
                                                                             : 0;
    size_t end = skip;
    while (end < url.len && !(url.ptr[end] && strchr("/?#", url.ptr[end])))
        end++;
    *authority = (struct span){url.ptr + skip, end - skip};
    return skip > 0;
}

/* The host, lower case not yet; false when it is none. */
static bool host_of(struct span authority, struct span *host)
{
    struct span port = SPAN("");
    size_t len = 0;
    *host = authority;
    if (authority.len && authority.ptr[0] == '[') {
        while (len < authority.len && authority.ptr[len] != ']')
            len++;
        if (len++ == authority.len) return false;
    } else {
        while (len < authority.len && authority.ptr[len] != ':')
            len++;
    }
    host->len = len;
    if (len < authority.len) {
        if (authority.ptr[len] != ':') return false;
        port = (struct span){authority.ptr + len + 1, authority.len - len - 1};
    }
    if (!is_port(port)) return false;
    if (len && host->ptr[0] == '[') return is_ipv6((struct span){host->ptr + 1, len - 2});
    if (len > 1 && host->ptr[len - 1] == '.') host->len--;
    return is_name(*host);
}

static bool is_clean(struct span url)
{
    for (size_t i = 0; i < url.len; i++)
        if (!isgraph((unsigned char)url.ptr[i]) || strchr("\"\\", url.ptr[i])) return false;
    return true;
}

static void fuzz_url(struct choices *from)
{
    char memory[TEXT_MAX];
    struct span url = own_copy(choose_rest(from)), authority, host;
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    bool has_authority = authority_of(url, &authority);
    const char *at = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;
    struct span bare = authority;
    if (at) bare = (struct span){at + 1, authority.len - (size_t)(at - authority.ptr) - 1};
    bool is_split = memchr(authority.ptr, '\\', authority.len) == NULL;
    bool expected = has_authority && is_split && host_of(bare, &host);
    bool accepted = text_url_host(&out, url) ^ lies("host");
    require(accepted == expected, "another verdict on a host");
    if (lies("name") && out.len) memory[0] ^= 1;
    require(!accepted || (out.len == host.len && strncasecmp(memory, host.ptr, host.len) == 0),
            "another host");
    for (size_t i = 0; accepted && i < out.len; i++)
        require(!isupper((unsigned char)memory[i]), "a host in upper case");
    bool lands = text_is_landing_url(url) ^ lies("landing");
    require(lands == (expected && !at && url.len <= LIMIT_LANDING_URL && is_clean(url)),
            "another verdict on a landing URL");
    own_free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const parts[])(struct choices * from) = {fuzz_find, fuzz_encode, fuzz_add,
                                                           fuzz_url};
    struct choices from = {bytes, size};
    parts[choose_below(&from, sizeof parts / sizeof parts[0])](&from);
    return 0;
}
