#include "cli/options_table.h"

#include "cli/say.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The configuration, as a file's text and as arguments. What is accepted, printed as a file by this
 * test, is read again as the same configuration; the numbers of a file are what strtoull and a
 * table of units make of its lines. What is refused was said, once and with its line; nothing is
 * said of what is accepted.
 *
 * Input: a byte that chooses the file's text (even) or the arguments (odd, one a line), then it. */

enum { TEXT_MAX = 8192, ARGS_MAX = 32 };

/* -- in place of cli/say.c: what was said ---------------------------------------------------- */

static char said[2 * TEXT_MAX];
static unsigned said_count;

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): as in cli/say.c */
    vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    said_count += lies("said") ? 2 : 1;
}

static void hush(void)
{
    said_count = 0;
    said[0] = '\0';
}

static void check_said(bool accepted)
{
    require(said_count == !accepted, "said too often, or not at all");
    require(accepted || said[0], "nothing is said of a refusal");
}

/* -- printing --------------------------------------------------------------------------------- */

static void print_number(FILE *out, const struct option *option, int64_t number)
{
    const char *unit = option->type == OPTION_DURATION ? "ms"
                       : option->type == OPTION_SIZE   ? "B"
                                                       : "";
    fprintf(out, "%.*s = %lld%s\n", SPAN_FMT(option->name), (long long)number, unit);
}

static void print_address(FILE *out, const struct option *option,
                          const struct value_address *address)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (!address->socket_len) return; /* off */
    memcpy(&v4, &address->socket, sizeof v4);
    memcpy(&v6, &address->socket, sizeof v6);
    fprintf(out, "%.*s = ", SPAN_FMT(option->name));
    if (address->any)
        fprintf(out, ":%u\n", ntohs(v6.sin6_port));
    else if (address->socket.ss_family == AF_INET)
        fprintf(out, "%s:%u\n", inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host),
                ntohs(v4.sin_port));
    else
        fprintf(out, "[%s]:%u\n", inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host),
                ntohs(v6.sin6_port));
}

static void print_networks(FILE *out, const struct options *options)
{
    char text[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < options->trusted_proxies_count; i++) {
        const struct api_network *network = &options->trusted_proxies[i];
        inet_ntop(AF_INET6, &network->address, text, sizeof text);
        /* Written as IPv6 throughout; a mapped address must not become an IPv4 one. */
        fprintf(out, "%s%s/%u", i ? "," : "trusted_proxies = ", text, network->prefix_len);
    }
    if (options->trusted_proxies_count) fputc('\n', out);
}

/* A file cannot say every text that an argument can. */
static bool can_stand_in_file(struct span text)
{
    struct span trimmed = span_trim(text);
    if (text.len == 0 || trimmed.len != text.len || memchr(text.ptr, '\n', text.len)) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '#') return false;
    return true;
}

static void print_text(FILE *out, const struct option *option, struct span text)
{
    if (!text.ptr) return;
    fprintf(out, "%.*s = ", SPAN_FMT(option->name));
    fwrite(text.ptr, 1, text.len, out);
    fputc('\n', out);
}

static void print_option(FILE *out, const struct options *options, const struct option *option)
{
    const void *place = (const char *)options + option->offset;
    if (option->flag_only) return;
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        if (*(const int64_t *)place >= option->min) /* 0 threads are the default, and no value */
            print_number(out, option, *(const int64_t *)place);
        break;
    case OPTION_ADDRESS:
        print_address(out, option, place);
        break;
    case OPTION_NETWORKS:
        print_networks(out, options);
        break;
    case OPTION_CLIENT_ADDRESS:
        fprintf(out, "client_address = %s\n", options->client_address_full ? "full" : "masked");
        break;
    case OPTION_SWITCH:
        fprintf(out, "%.*s = %s\n", SPAN_FMT(option->name), *(const bool *)place ? "on" : "off");
        break;
    case OPTION_TEXT:
    case OPTION_STORE:
    case OPTION_URL:
        if (can_stand_in_file(*(const struct span *)place))
            print_text(out, option, *(const struct span *)place);
        break;
    }
}

/* -- reading again ----------------------------------------------------------------------------- */

static void check_same_option(const struct options *a, const struct options *b,
                              const struct option *option)
{
    const void *one = (const char *)a + option->offset, *other = (const char *)b + option->offset;
    struct span text;
    if (option->flag_only) return;
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        require(*(const int64_t *)one == *(const int64_t *)other, "a number is read otherwise");
        break;
    case OPTION_ADDRESS:
        require(memcmp(one, other, sizeof(struct value_address)) == 0, "another address");
        break;
    case OPTION_NETWORKS:
        require(a->trusted_proxies_count == b->trusted_proxies_count &&
                    memcmp(a->trusted_proxies, b->trusted_proxies,
                           a->trusted_proxies_count * sizeof a->trusted_proxies[0]) == 0,
                "other proxies");
        break;
    case OPTION_CLIENT_ADDRESS:
        require(a->client_address_full == b->client_address_full, "another masking");
        break;
    case OPTION_SWITCH:
        require(*(const bool *)one == *(const bool *)other, "a switch is read otherwise");
        break;
    case OPTION_TEXT:
    case OPTION_STORE:
    case OPTION_URL:
        text = *(const struct span *)one;
        require(!can_stand_in_file(text) || span_eq(text, *(const struct span *)other),
                "another text");
        break;
    }
}

static void check_printed(const struct options *options)
{
    static char text[4 * TEXT_MAX];
    struct options again;
    FILE *out = fmemopen(text, sizeof text, "w");
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        print_option(out, options, &options_table[i]);
    if (lies("printed")) fputs("threads = 7\nthreads = 8\n", out);
    long len = ftell(out);
    fclose(out);
    hush();
    options_init(&again);
    require(!options->data.ptr || !memchr(options->data.ptr, '\0', options->data.len),
            "a path that ends before its text does");
    bool accepted = options_read_text(&again, "P", (struct span){text, (size_t)len});
    require(accepted, "what was accepted is refused when printed");
    if (lies("reread")) again.click_ttl_ms++;
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        check_same_option(options, &again, &options_table[i]);
}

/* -- a file's numbers, read a second time --------------------------------------------------------
 */

static const struct unit {
    const char *name;
    unsigned long long factor;
} units[] = {{"ms", 1}, {"s", 1000},   {"m", 60000},     {"h", 3600000}, {"d", 86400000},
             {"B", 1},  {"KiB", 1024}, {"MiB", 1048576}, {"", 1}};

static unsigned long long number_of(const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0) return number * units[i].factor;
    require(false, "a number with another unit is accepted");
    return 0;
}

static char *trimmed(char *text)
{
    while (*text && strchr(" \t\r", *text))
        text++;
    for (char *end = text + strlen(text); end > text && strchr(" \t\r", end[-1]);)
        *--end = '\0';
    return text;
}

static void check_line(const struct options *options, char *line)
{
    for (char *at = line; *at; at++)
        if (*at == '#' && (at == line || at[-1] == ' ' || at[-1] == '\t')) *at = '\0';
    char *value = strchr(line, '=');
    require(value || *trimmed(line) == '\0', "a line without = is accepted");
    if (!value) return;
    *value++ = '\0';
    const struct option *option = options_find(span_of(trimmed(line)));
    require(option && !option->flag_only, "an option that is none is accepted");
    if (option->type != OPTION_COUNT && option->type != OPTION_DURATION &&
        option->type != OPTION_SIZE)
        return;
    int64_t ours = *(const int64_t *)(const void *)((const char *)options + option->offset);
    if (lies("number")) ours++;
    require(ours >= option->min && ours <= option->max, "a number out of range");
    require((unsigned long long)ours == number_of(trimmed(value)), "another number");
}

static void check_lines(const struct options *options, struct span text)
{
    if (memchr(text.ptr, '\0', text.len)) return;
    char *copy = c_text(text), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        check_line(options, line);
    free(copy);
}

/* -- the two parts -------------------------------------------------------------------------------
 */

static void check_place(struct span text)
{
    unsigned line = 0, lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    require(sscanf(said, "F:%u:", &line) == 1 && line >= 1 && line <= lines, "no line is named");
}

static void fuzz_file(struct choices *from)
{
    struct options options;
    struct span text = own_copy(choose_rest(from));
    hush();
    options_init(&options);
    bool accepted = options_read_text(&options, "F", text) ^ lies("verdict");
    check_said(accepted);
    if (accepted) {
        check_lines(&options, text);
        check_printed(&options);
    } else {
        check_place(text);
    }
    own_free(text);
}

/* Files are named by arguments, and some do not end or do not open. */
static bool may_name_files(const char *text)
{
    return strstr(text, "/dev") || strstr(text, "/proc") || strstr(text, "/sys") ||
           strstr(text, "..");
}

static void fuzz_args(struct choices *from)
{
    char *copy = c_text(choose_rest(from)), *rest = copy, *list[ARGS_MAX];
    struct args args = {.list = list};
    struct options options;
    bool may_load = !may_name_files(copy);
    while (rest && args.count < ARGS_MAX)
        list[args.count++] = strsep(&rest, "\n");
    if (may_load && !rest) {
        hush();
        enum options_result result = options_load(&options, &args);
        check_said(result == OPTIONS_OK);
        require(result != OPTIONS_OK || options.target_limit <= options.head_limit,
                "a target longer than its head");
        if (result == OPTIONS_OK) check_printed(&options);
        options_free(&options);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct choices from = {bytes, size};
    if (size > TEXT_MAX) return 0;
    if (choose_byte(&from) % 2 == 0)
        fuzz_file(&from);
    else
        fuzz_args(&from);
    return 0;
}
