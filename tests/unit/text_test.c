#include "unit.h"

#include "base/limits.h"
#include "event/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct blank_row {
    const char *name;
    const char *text;
    bool blank;
} blank_rows[] = {
    {"blank: empty", "", true},
    {"blank: space", " ", true},
    {"blank: all of ASCII's", " \t\n\v\f\r ", true},
    {"blank: next line U+0085", "\xc2\x85", true},
    {"blank: no-break space U+00A0", "\xc2\xa0", true},
    {"blank: ogham U+1680", "\xe1\x9a\x80", true},
    {"blank: en quad U+2000", "\xe2\x80\x80", true},
    {"blank: hair space U+200A", "\xe2\x80\x8a", true},
    {"blank: line separator U+2028", "\xe2\x80\xa8", true},
    {"blank: paragraph separator U+2029", "\xe2\x80\xa9", true},
    {"blank: narrow no-break U+202F", "\xe2\x80\xaf", true},
    {"blank: mathematical U+205F", "\xe2\x81\x9f", true},
    {"blank: ideographic U+3000", "\xe3\x80\x80", true},
    {"blank: a mixture", " \xe3\x80\x80\t\xc2\xa0", true},
    {"not blank: letter", "a", false},
    {"not blank: letter between spaces", " a ", false},
    {"not blank: letter after U+3000", "\xe3\x80\x80x", false},
    {"not blank: zero", "0", false},
    {"not blank: zero-width space U+200B", "\xe2\x80\x8b", false},
    {"not blank: word joiner U+2060", "\xe2\x81\xa0", false},
    {"not blank: byte order mark U+FEFF", "\xef\xbb\xbf", false},
    {"not blank: Mongolian vowel separator U+180E", "\xe1\xa0\x8e", false},
    {"not blank: U+0084", "\xc2\x84", false},
    {"not blank: U+0086", "\xc2\x86", false},
    {"not blank: U+2027", "\xe2\x80\xa7", false},
    {"not blank: U+202A", "\xe2\x80\xaa", false},
    {"not blank: U+1FFF", "\xe1\xbf\xbf", false},
    {"not blank: U+3001", "\xe3\x80\x81", false},
    {"not blank: control U+0001", "\x01", false},
    {"not blank: control U+001F", "\x1f", false},
    {"not blank: control U+0008", "\b", false},
    {"not blank: cut character", "\xe2\x80", false},
    {"not blank: lead byte alone", "\xc2", false},
    {"not blank: trail byte alone", "\xa0", false},
};

static void text_is_judged_blank(void **state)
{
    const struct blank_row *row = *state;
    assert_int_equal(text_is_blank(span_of(row->text)), row->blank);
}

/* Host and landing together: what one takes apart, the other must not take for something else. */
static const struct url_row {
    const char *name;
    const char *url;
    const char *host; /* NULL: not usable */
    bool landing;
} url_rows[] = {
    {"url: plain", "https://example.com/a?b=c#d", "example.com", true},
    {"url: http", "http://example.com", "example.com", true},
    {"url: scheme in capitals", "HTTPS://example.com/", "example.com", true},
    {"url: mixed scheme", "hTtP://example.com/", "example.com", true},
    {"url: host in capitals", "https://Shop.EXAMPLE.com/Path", "shop.example.com", true},
    {"url: port", "https://example.com:8443/", "example.com", true},
    {"url: port 1", "https://example.com:1/", "example.com", true},
    {"url: port 65535", "https://example.com:65535/", "example.com", true},
    {"url: port 65536", "https://example.com:65536/", NULL, false},
    {"url: port 0", "https://example.com:0/", NULL, false},
    {"url: port past 64 bits", "https://example.com:18446744073709551617/", NULL, false},
    {"url: port with leading zeros", "https://example.com:0080/", "example.com", true},
    {"url: port with letters", "https://example.com:8a/", NULL, false},
    {"url: port with a sign", "https://example.com:+80/", NULL, false},
    {"url: empty port", "https://example.com:/", "example.com", true},
    {"url: two ports", "https://example.com:80:81/", NULL, false},
    {"url: port without host", "https://:80/", NULL, false},
    {"url: trailing dot", "https://example.com./", "example.com", true},
    {"url: trailing dot and port", "https://example.com.:443/", "example.com", true},
    {"url: two trailing dots", "https://example.com../", NULL, false},
    {"url: only a dot", "https://./", NULL, false},
    {"url: leading dot", "https://.example.com/", NULL, false},
    {"url: empty label", "https://a..b/", NULL, false},
    {"url: one label", "http://localhost/", "localhost", true},
    {"url: underscore", "http://a_b.example/", "a_b.example", true},
    {"url: hyphen first", "http://-a.example/", "-a.example", true},
    {"url: A-label", "https://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de", true},
    {"url: A-label in capitals", "https://XN--MNCHEN-3YA.de/", "xn--mnchen-3ya.de", true},
    {"url: U-label", "https://m\xc3\xbcnchen.de/", NULL, false},
    {"url: U-label with a full-width dot",
     "https://a\xe3\x80\x82"
     "de/",
     NULL, false},
    {"url: percent in the host", "https://exa%6dple.com/", NULL, false},
    {"url: percent-encoded UTF-8 host", "https://m%C3%BCnchen.de/", NULL, false},
    {"url: user info", "https://user:secret@example.com/", "example.com", false},
    {"url: user", "https://user@example.com/", "example.com", false},
    {"url: empty user info", "https://@example.com/", "example.com", false},
    {"url: at sign in user info", "https://a@b@example.com/", "example.com", false},
    {"url: port-like user info", "https://good.example:80@evil.example/", "evil.example", false},
    {"url: user info without host", "https://user@/", NULL, false},
    {"url: user info and port", "https://u:p@example.com:81/", "example.com", false},
    {"url: brackets in user info", "https://[::1]@example.com/", "example.com", false},
    {"url: open bracket in user info", "https://[@example.com:80/", "example.com", false},
    {"url: at sign in the path", "https://example.com/@user", "example.com", true},
    {"url: at sign in the query", "https://example.com?q=a@b.example", "example.com", true},
    {"url: at sign in the fragment", "https://example.com#@b.example", "example.com", true},
    {"url: colon in the path", "https://example.com/a:b", "example.com", true},
    {"url: query without path", "https://example.com?x=1", "example.com", true},
    {"url: fragment without path", "https://example.com#x", "example.com", true},
    {"url: backslash before the host ends", "https://evil.example\\@good.example/", NULL, false},
    {"url: backslash for slash", "https:\\\\example.com/", NULL, false},
    {"url: backslash in the path", "https://example.com/a\\b", "example.com", false},
    {"url: three slashes", "https:///example.com/", NULL, false},
    {"url: one slash", "https:/example.com/", NULL, false},
    {"url: no slash", "https:example.com", NULL, false},
    {"url: no scheme", "example.com/a", NULL, false},
    {"url: scheme-relative", "//example.com/a", NULL, false},
    {"url: relative", "/a?b", NULL, false},
    {"url: ftp", "ftp://example.com/", NULL, false},
    {"url: javascript", "javascript:alert(1)", NULL, false},
    {"url: javascript with slashes", "javascript://example.com/%0aalert(1)", NULL, false},
    {"url: data", "data:text/html,hello", NULL, false},
    {"url: app link", "android-app://com.example/http/x", NULL, false},
    {"url: websocket", "wss://example.com/", NULL, false},
    {"url: httpsx", "httpsx://example.com/", NULL, false},
    {"url: null origin", "null", NULL, false},
    {"url: empty", "", NULL, false},
    {"url: scheme alone", "https://", NULL, false},
    {"url: cut scheme", "http:/", NULL, false},
    {"url: no host", "https:///", NULL, false},
    {"url: no host, query", "https://?a=b", NULL, false},
    {"url: no host, fragment", "https://#a", NULL, false},
    {"url: leading space", " https://example.com/", NULL, false},
    {"url: trailing space", "https://example.com/ ", "example.com", false},
    {"url: space in the host", "https://exa mple.com/", NULL, false},
    {"url: space in the path", "https://example.com/a b", "example.com", false},
    {"url: tab in the host", "https://exa\tmple.com/", NULL, false},
    {"url: tab in the path", "https://example.com/a\tb", "example.com", false},
    {"url: line feed in the path", "https://example.com/a\nb", "example.com", false},
    {"url: header injection", "https://example.com/\r\nSet-Cookie: a=b", "example.com", false},
    {"url: delete", "https://example.com/\x7f", "example.com", false},
    {"url: control 1", "https://example.com/\x01", "example.com", false},
    {"url: double quote", "https://example.com/\"", "example.com", false},
    {"url: single quote, a sub-delim", "https://example.com/it's", "example.com", true},
    {"url: macro braces", "https://example.com/?c={click_id}", "example.com", true},
    {"url: UTF-8 in the path", "https://example.com/\xc3\xbc", "example.com", false},
    {"url: percent-encoded path", "https://example.com/%C3%BC", "example.com", true},
    {"url: broken escape in the query", "https://example.com/?q=100%", "example.com", true},
    {"url: IPv4", "http://192.0.2.1:8080/", "192.0.2.1", true},
    {"url: IPv6", "http://[2001:db8::1]/", "[2001:db8::1]", true},
    {"url: IPv6 in capitals", "http://[2001:DB8::A]/", "[2001:db8::a]", true},
    {"url: IPv6 with port", "http://[2001:db8::1]:8080/", "[2001:db8::1]", true},
    {"url: IPv6 with empty port", "http://[::1]:/", "[::1]", true},
    {"url: IPv6 with bad port", "http://[::1]:x/", NULL, false},
    {"url: IPv6 unspecified", "http://[::]/", "[::]", true},
    {"url: IPv6 in full", "http://[1:2:3:4:5:6:7:8]/", "[1:2:3:4:5:6:7:8]", true},
    {"url: IPv6 of nine groups", "http://[1:2:3:4:5:6:7:8:9]/", NULL, false},
    {"url: IPv6 of seven groups", "http://[1:2:3:4:5:6:7]/", NULL, false},
    {"url: IPv6 gap at the end", "http://[1:2:3:4:5:6:7::]/", "[1:2:3:4:5:6:7::]", true},
    {"url: IPv6 gap at the start", "http://[::2:3:4:5:6:7:8]/", "[::2:3:4:5:6:7:8]", true},
    {"url: IPv6 gap of nothing", "http://[1:2:3:4::5:6:7:8]/", NULL, false},
    {"url: IPv6 two gaps", "http://[1::2::3]/", NULL, false},
    {"url: IPv6 three colons", "http://[1:::2]/", NULL, false},
    {"url: IPv6 one colon first", "http://[:1:2:3:4:5:6:7]/", NULL, false},
    {"url: IPv6 one colon last", "http://[1:2:3:4:5:6:7:]/", NULL, false},
    {"url: IPv6 group of five", "http://[12345::]/", NULL, false},
    {"url: IPv6 not hex", "http://[g::]/", NULL, false},
    {"url: IPv6 with IPv4", "http://[::ffff:192.0.2.1]/", "[::ffff:192.0.2.1]", true},
    {"url: IPv6 with IPv4 in full", "http://[1:2:3:4:5:6:192.0.2.1]/", "[1:2:3:4:5:6:192.0.2.1]",
     true},
    {"url: IPv6 with IPv4, too long", "http://[1:2:3:4:5:6:7:192.0.2.1]/", NULL, false},
    {"url: IPv6 with IPv4 not last", "http://[::192.0.2.1:1]/", NULL, false},
    {"url: IPv6 with IPv4 before a gap", "http://[192.0.2.1::]/", NULL, false},
    {"url: IPv6 with IPv4 of three", "http://[::192.0.2]/", NULL, false},
    {"url: IPv6 with IPv4 of five", "http://[::192.0.2.1.1]/", NULL, false},
    {"url: IPv6 with IPv4 of 256", "http://[::192.0.2.256]/", NULL, false},
    {"url: IPv6 with IPv4 in octal", "http://[::192.0.2.01]/", NULL, false},
    {"url: IPv6 with zone", "http://[fe80::1%25eth0]/", NULL, false},
    {"url: IPvFuture", "http://[v1.a]/", NULL, false},
    {"url: empty brackets", "http://[]/", NULL, false},
    {"url: open bracket", "http://[::1/", NULL, false},
    {"url: open bracket alone", "http://[/", NULL, false},
    {"url: closed bracket", "http://::1]/", NULL, false},
    {"url: text after the brackets", "http://[::1]a/", NULL, false},
    {"url: text before the brackets", "http://a[::1]/", NULL, false},
    {"url: two brackets", "http://[[::1]]/", NULL, false},
    {"url: trailing dot after brackets", "http://[::1]./", NULL, false},
    {"url: IPv6 without brackets", "http://2001:db8::1/", NULL, false},
    {"url: asterisk", "http://*.example.com/", NULL, false},
    {"url: comma", "http://a,b/", NULL, false},
    {"url: macro as host", "https://{host}/", NULL, false},
    {"url: quote in the host", "http://a'b/", NULL, false},
};

static void url_is_taken_apart(void **state)
{
    const struct url_row *row = *state;
    char memory[512];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "site:");
    bool found = text_url_host(&out, span_of(row->url));
    assert_int_equal(found, row->host != NULL);
    writer_char(&out, '\0');
    assert_memory_equal(memory, "site:", 5);
    assert_string_equal(memory + 5, found ? row->host : "");
    assert_int_equal(text_is_landing_url(span_of(row->url)), row->landing);
}

static void nul_bytes_and_absence_are_no_urls(void **state)
{
    (void)state;
    char memory[64];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    assert_false(text_url_host(&out, SPAN("https://exa\0mple.com/")));
    assert_false(text_url_host(&out, SPAN_NONE));
    assert_int_equal(out.len, 0);
    assert_false(text_is_landing_url(SPAN("https://example.com/\0")));
    assert_false(text_is_landing_url(SPAN_NONE));
    assert_false(text_is_blank(SPAN("\0")));
    assert_true(text_is_blank(SPAN_NONE));
}

static void a_host_that_does_not_fit_is_not_cut(void **state)
{
    (void)state;
    char memory[8];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    assert_false(text_url_host(&out, SPAN("https://example.com/")));
    assert_int_equal(out.len, 0);
    assert_true(out.overflow);
}

/* `labels` of `label_len` bytes each, then `tail`. */
static bool host_is_usable(size_t labels, size_t label_len, const char *tail)
{
    char url[1024] = "http://";
    char memory[512];
    struct writer in;
    struct writer out;
    writer_init(&in, url, sizeof url);
    writer_lit(&in, "http://");
    for (size_t i = 0; i < labels; i++) {
        for (size_t j = 0; j < label_len; j++)
            writer_char(&in, 'a');
        if (i + 1 < labels) writer_char(&in, '.');
    }
    writer_put(&in, span_of(tail));
    writer_init(&out, memory, sizeof memory);
    bool usable = text_url_host(&out, writer_text(&in));
    assert_int_equal(text_is_landing_url(writer_text(&in)), usable);
    return usable;
}

static void host_lengths_are_bounded(void **state)
{
    (void)state;
    assert_true(host_is_usable(1, 63, "/"));
    assert_false(host_is_usable(1, 64, "/"));
    assert_true(host_is_usable(127, 1, "/")); /* 253 bytes */
    assert_true(host_is_usable(127, 1, "./"));
    assert_false(host_is_usable(127, 1, "a/")); /* 254 bytes */
    assert_false(host_is_usable(127, 1, ".a/"));
    assert_true(
        host_is_usable(3, 63, ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    assert_false(host_is_usable(4, 63, "/")); /* 255 bytes */
}

static void landing_urls_are_bounded(void **state)
{
    (void)state;
    char url[LIMIT_LANDING_URL + 1];
    memset(url, 'a', sizeof url);
    memcpy(url, "https://e.example/", 18);
    assert_true(text_is_landing_url((struct span){url, LIMIT_LANDING_URL}));
    assert_false(text_is_landing_url((struct span){url, LIMIT_LANDING_URL + 1}));
}

/* Of all bytes in a path, these and no others make a landing URL unusable. */
static void landing_urls_refuse_exactly_these_bytes(void **state)
{
    (void)state;
    for (int byte = 0; byte <= 0xff; byte++) {
        char url[] = "https://example.com/a?b";
        url[20] = (char)byte;
        bool refused = byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '\\';
        assert_int_equal(text_is_landing_url((struct span){url, sizeof url - 1}), !refused);
    }
}

static const struct currency_row {
    const char *name;
    const char *code;
    bool known;
} currency_rows[] = {
    {"currency: dollar", "USD", true},
    {"currency: lower case", "usd", true},
    {"currency: mixed case", "eUr", true},
    {"currency: first of the table", "AED", true},
    {"currency: last of the table", "ZWL", true},
    {"currency: new, Zimbabwe gold", "ZWG", true},
    {"currency: new, Caribbean guilder", "XCG", true},
    {"currency: new, leone", "SLE", true},
    {"currency: new, digital bolivar", "VED", true},
    {"currency: new, Arab accounting dinar", "XAD", true},
    {"currency: withdrawn 2026, lev", "BGN", true},
    {"currency: withdrawn 2025, Antillean guilder", "ANG", true},
    {"currency: withdrawn 2023, kuna", "HRK", true},
    {"currency: withdrawn 2023, old leone", "SLL", true},
    {"currency: withdrawn 2021, convertible peso", "CUC", true},
    {"currency: withdrawn 2018, bolivar fuerte", "VEF", true},
    {"currency: withdrawn 2017, ouguiya", "MRO", true},
    {"currency: withdrawn 2017, dobra", "STD", true},
    {"currency: withdrawn 2017, Belarusian ruble", "BYR", true},
    {"currency: withdrawn 2014, litas", "LTL", false},
    {"currency: withdrawn 2014, lats", "LVL", false},
    {"currency: withdrawn 2014, same-day dollar", "USS", false},
    {"currency: withdrawn 2012, old kwacha", "ZMK", false},
    {"currency: withdrawn 2011, kroon", "EEK", false},
    {"currency: withdrawn 2002, mark", "DEM", false},
    {"currency: withdrawn 2009, fourth Zimbabwe dollar", "ZWR", false},
    {"currency: gold", "XAU", true},
    {"currency: drawing rights", "XDR", true},
    {"currency: for tests", "XTS", true},
    {"currency: none", "XXX", true},
    {"currency: fund", "CLF", true},
    {"currency: offshore renminbi is no ISO code", "CNH", false},
    {"currency: bitcoin", "BTC", false},
    {"currency: bitcoin as X code", "XBT", false},
    {"currency: Jersey", "JEP", false},
    {"currency: pence", "GBX", false},
    {"currency: unknown", "ABC", false},
    {"currency: before the first", "AAA", false},
    {"currency: after the last", "ZZZ", false},
    {"currency: empty", "", false},
    {"currency: two letters", "US", false},
    {"currency: four letters", "USDX", false},
    {"currency: numeric code", "840", false},
    {"currency: trailing space", "US ", false},
    {"currency: padded", " USD", false},
    {"currency: symbol", "$", false},
    {"currency: three bytes past ASCII", "\xe2\x82\xac", false},
    {"currency: byte 0x20 away from a letter", "U3D", false},
    {"currency: lower case of a non-letter", "{{{", false},
};

static void currency_is_looked_up(void **state)
{
    const struct currency_row *row = *state;
    assert_int_equal(text_is_currency(span_of(row->code)), row->known);
}

#define CURRENCY(code, withdrawn) {code, withdrawn},
static const struct {
    const char *code, *withdrawn;
} table[] = {
#include "event/currency_table.h"
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

static void currency_table_is_sorted_and_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        int year = 2026;
        int month = 1;
        char end = '\0';
        assert_int_equal(strspn(table[i].code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 3);
        assert_int_equal(strlen(table[i].code), 3);
        if (i > 0) assert_true(strcmp(table[i - 1].code, table[i].code) < 0);
        if (table[i].withdrawn[0] == '\0') continue;
        assert_int_equal(sscanf(table[i].withdrawn, "%4d-%2d%c", &year, &month, &end), 2);
        assert_in_range(year * 12 + month, 2016 * 12 + 11, 2100 * 12);
        assert_in_range(month, 1, 12);
    }
}

static void every_code_agrees_with_the_table(void **state)
{
    (void)state;
    size_t known = 0;
    for (int n = 0; n < 26 * 26 * 26; n++) {
        char code[4] = {(char)('A' + n / 676), (char)('A' + n / 26 % 26), (char)('A' + n % 26)};
        bool listed = false;
        for (size_t i = 0; i < TABLE_COUNT; i++)
            listed = listed || strcmp(table[i].code, code) == 0;
        known += listed;
        for (int flip = 0; flip < 8; flip++) {
            char spelled[3];
            for (int i = 0; i < 3; i++)
                spelled[i] = (char)(code[i] + (flip >> i & 1 ? 'a' - 'A' : 0));
            assert_int_equal(text_is_currency((struct span){spelled, 3}), listed);
        }
    }
    assert_int_equal(known, TABLE_COUNT);
    assert_false(text_is_currency(SPAN_NONE));
    assert_false(text_is_currency(SPAN("US\0")));
}

int main(void)
{
    UNIT_ADD_ROWS(blank_rows, text_is_judged_blank);
    UNIT_ADD_ROWS(url_rows, url_is_taken_apart);
    UNIT_ADD(nul_bytes_and_absence_are_no_urls);
    UNIT_ADD(a_host_that_does_not_fit_is_not_cut);
    UNIT_ADD(host_lengths_are_bounded);
    UNIT_ADD(landing_urls_are_bounded);
    UNIT_ADD(landing_urls_refuse_exactly_these_bytes);
    UNIT_ADD_ROWS(currency_rows, currency_is_looked_up);
    UNIT_ADD(currency_table_is_sorted_and_formed);
    UNIT_ADD(every_code_agrees_with_the_table);
    return UNIT_RUN_ADDED("text");
}
