#include "dir.h"
#include "unit.h"

#include "cli/options_table.h"

#include <stdio.h>
#include <unistd.h>

/* Options as flags and as lines of a file; what serve does with them is the contract suite's. */

#define S 1000LL
#define DAY (24 * 60 * 60 * S)

struct value_row {
    const char *name;
    struct span option, text;
    int64_t value; /* -1: refused */
};

/* clang-format off */
static const struct value_row value_rows[] = {
    {"days", SPAN_INIT("click_ttl"), SPAN_INIT("90d"), 90 * DAY},
    {"hours", SPAN_INIT("click_ttl"), SPAN_INIT("36h"), 36 * 60 * 60 * S},
    {"minutes", SPAN_INIT("click_ttl"), SPAN_INIT("5m"), 300 * S},
    {"seconds", SPAN_INIT("click_ttl"), SPAN_INIT("2s"), 2 * S},
    {"milliseconds", SPAN_INIT("click_ttl"), SPAN_INIT("1500ms"), 1500},
    {"the shortest", SPAN_INIT("click_ttl"), SPAN_INIT("1s"), S},
    {"the longest", SPAN_INIT("click_ttl"), SPAN_INIT("3650d"), 3650 * DAY},
    {"leading zeros", SPAN_INIT("click_ttl"), SPAN_INIT("007d"), 7 * DAY},
    {"too short", SPAN_INIT("click_ttl"), SPAN_INIT("999ms"), -1},
    {"too long", SPAN_INIT("click_ttl"), SPAN_INIT("3651d"), -1},
    {"past 64 bits in its unit", SPAN_INIT("click_ttl"), SPAN_INIT("9223372036854775807d"), -1},
    {"past 64 bits", SPAN_INIT("click_ttl"), SPAN_INIT("99999999999999999999d"), -1},
    {"no unit", SPAN_INIT("click_ttl"), SPAN_INIT("90"), -1},
    {"no number", SPAN_INIT("click_ttl"), SPAN_INIT("d"), -1},
    {"nothing", SPAN_INIT("click_ttl"), SPAN_INIT(""), -1},
    {"another unit", SPAN_INIT("click_ttl"), SPAN_INIT("90w"), -1},
    {"a unit in upper case", SPAN_INIT("click_ttl"), SPAN_INIT("90D"), -1},
    {"a space before the unit", SPAN_INIT("click_ttl"), SPAN_INIT("90 d"), -1},
    {"a sign", SPAN_INIT("click_ttl"), SPAN_INIT("-1d"), -1},
    {"a plus", SPAN_INIT("click_ttl"), SPAN_INIT("+1d"), -1},
    {"a fraction", SPAN_INIT("click_ttl"), SPAN_INIT("1.5d"), -1},
    {"a size as a duration", SPAN_INIT("click_ttl"), SPAN_INIT("16KiB"), -1},
    {"KiB", SPAN_INIT("head_limit"), SPAN_INIT("32KiB"), 32768},
    {"B", SPAN_INIT("head_limit"), SPAN_INIT("1024B"), 1024},
    {"a size below", SPAN_INIT("head_limit"), SPAN_INIT("1023B"), -1},
    {"a size above", SPAN_INIT("head_limit"), SPAN_INIT("1MiB"), -1},
    {"a body larger than its buffer", SPAN_INIT("body_limit"), SPAN_INIT("65KiB"), -1},
    {"a size without unit", SPAN_INIT("head_limit"), SPAN_INIT("16384"), -1},
    {"KB", SPAN_INIT("head_limit"), SPAN_INIT("16KB"), -1},
    {"0 is no limit", SPAN_INIT("rate_limit"), SPAN_INIT("0"), 0},
    {"a rate", SPAN_INIT("rate_limit"), SPAN_INIT("100000"), 100000},
    {"a rate too high", SPAN_INIT("rate_limit"), SPAN_INIT("100001"), -1},
    {"a rate with a unit", SPAN_INIT("rate_limit"), SPAN_INIT("10s"), -1},
    {"a rate in hex", SPAN_INIT("rate_limit"), SPAN_INIT("0x10"), -1},
    {"no threads", SPAN_INIT("threads"), SPAN_INIT("0"), -1},
    {"threads", SPAN_INIT("threads"), SPAN_INIT("256"), 256},
};
/* clang-format on */

static void a_number(void **state)
{
    const struct value_row *row = *state;
    struct options options;
    char problem[OPTIONS_PROBLEM_MAX];
    const struct option *option = options_find(row->option);
    int64_t value;
    options_init(&options);
    assert_int_equal(options_set_row(&options, option, row->text, problem), row->value >= 0);
    if (row->value < 0) {
        assert_non_null(strstr(problem, option->wants));
        return;
    }
    memcpy(&value, (char *)&options + option->offset, sizeof value);
    assert_int_equal(value, row->value);
}

struct text_row {
    const char *name;
    struct span option, text;
    bool ok;
};

/* clang-format off */
static const struct text_row text_rows[] = {
    {"IPv4", SPAN_INIT("listen"), SPAN_INIT("127.0.0.1:8080"), true},
    {"IPv6", SPAN_INIT("listen"), SPAN_INIT("[::1]:8080"), true},
    {"every address", SPAN_INIT("listen"), SPAN_INIT(":8080"), true},
    {"localhost", SPAN_INIT("listen"), SPAN_INIT("localhost:0"), true},
    {"no port", SPAN_INIT("listen"), SPAN_INIT("127.0.0.1"), false},
    {"an empty port", SPAN_INIT("listen"), SPAN_INIT("127.0.0.1:"), false},
    {"a port past 65535", SPAN_INIT("listen"), SPAN_INIT("127.0.0.1:65536"), false},
    {"a host name", SPAN_INIT("listen"), SPAN_INIT("ads.example:80"), false},
    {"IPv6 without brackets", SPAN_INIT("listen"), SPAN_INIT("::1:8080"), false},
    {"empty brackets", SPAN_INIT("listen"), SPAN_INIT("[]:8080"), false},
    {"half an IPv4", SPAN_INIT("listen"), SPAN_INIT("127.1:8080"), false},
    {"sqlite", SPAN_INIT("store"), SPAN_INIT("sqlite"), true},
    {"postgresql", SPAN_INIT("store"), SPAN_INIT("postgresql://host/db"), true},
    {"postgres", SPAN_INIT("store"), SPAN_INIT("postgres://u:p@h1:1,h2:2/db?sslmode=verify-full"), true},
    {"keywords of libpq", SPAN_INIT("store"), SPAN_INIT("host=h dbname=db"), false},
    {"another database", SPAN_INIT("store"), SPAN_INIT("mysql://host/db"), false},
    {"a URL with a space", SPAN_INIT("store"), SPAN_INIT("postgresql://host/d b"), false},
    {"a URL with a NUL", SPAN_INIT("store"), SPAN_INIT("postgresql://host/d\0b"), false},
    {"a public URL", SPAN_INIT("public_url"), SPAN_INIT("https://ads.example/base"), true},
    {"a public URL with query", SPAN_INIT("public_url"), SPAN_INIT("https://a.example/?a=b"), false},
    {"a public URL with fragment", SPAN_INIT("public_url"), SPAN_INIT("https://a.example/#a"), false},
    {"no scheme", SPAN_INIT("public_url"), SPAN_INIT("ads.example"), false},
    {"another scheme", SPAN_INIT("public_url"), SPAN_INIT("ftp://ads.example"), false},
    {"proxies", SPAN_INIT("trusted_proxies"), SPAN_INIT("10.0.0.0/8, 192.168.0.1 ,::1"), true},
    {"an empty proxy", SPAN_INIT("trusted_proxies"), SPAN_INIT("10.0.0.0/8,"), false},
    {"a prefix too long", SPAN_INIT("trusted_proxies"), SPAN_INIT("10.0.0.0/33"), false},
    {"masked", SPAN_INIT("client_address"), SPAN_INIT("masked"), true},
    {"full", SPAN_INIT("client_address"), SPAN_INIT("full"), true},
    {"neither", SPAN_INIT("client_address"), SPAN_INIT("Full"), false},
    {"no directory", SPAN_INIT("data"), SPAN_INIT(""), false},
    {"a directory with a NUL", SPAN_INIT("data"), SPAN_INIT("d\0e"), false},
};
/* clang-format on */

static void a_text(void **state)
{
    const struct text_row *row = *state;
    struct options options;
    char problem[OPTIONS_PROBLEM_MAX];
    options_init(&options);
    assert_int_equal(options_set(&options, row->option, row->text, problem), row->ok);
}

/* A whole file; `says`: what standard error has to hold, NULL for a file that is fine. */
struct file_row {
    const char *name;
    struct span text;
    const char *says;
};

static const struct file_row file_rows[] = {
    {"an empty file", SPAN_INIT(""), NULL},
    {"blank lines and comments", SPAN_INIT("\n  \n# click_ttl = x\n\t# y\n"), NULL},
    {"a line", SPAN_INIT("click_ttl = 10d\n"), NULL},
    {"no spaces", SPAN_INIT("click_ttl=10d"), NULL},
    {"many spaces, CR LF", SPAN_INIT("  click_ttl \t=  10d  \r\nthreads = 2\r\n"), NULL},
    {"a comment behind", SPAN_INIT("click_ttl = 10d # ten days\n"), NULL},
    {"an unknown name", SPAN_INIT("threads = 2\n\nfoo = 1\n"),
     "F:3: unknown option \"foo\"; see adtally help serve\n"},
    {"a flag's spelling", SPAN_INIT("click-ttl = 10d\n"), "F:1: unknown option \"click-ttl\""},
    {"upper case", SPAN_INIT("Threads = 2\n"), "F:1: unknown option \"Threads\""},
    {"what is only a flag", SPAN_INIT("config = x\n"), "F:1: unknown option \"config\""},
    {"no equals sign", SPAN_INIT("threads 2\n"), "F:1: a line is `name = value`"},
    {"no name", SPAN_INIT("= 2\n"), "F:1: unknown option \"\""},
    {"no value", SPAN_INIT("threads =\n"), "F:1: threads takes a number of 1 to 256\n"},
    {"a bad value", SPAN_INIT("\n\n\nthreads = many\n"), "F:4: threads takes a number of 1 to 256"},
    {"a value with a comment stuck to it", SPAN_INIT("threads = 2#3\n"), "F:1: threads takes"},
    {"twice", SPAN_INIT("threads = 2\nlisten = :1\nthreads = 2\n"),
     "F:3: threads stands in line 1 already"},
};

/* Standard error of what runs between these two. */
struct capture {
    int saved_fd;
    FILE *file;
};

static void capture_start(struct capture *capture)
{
    fflush(stderr);
    capture->saved_fd = dup(STDERR_FILENO);
    capture->file = tmpfile();
    assert_non_null(capture->file);
    dup2(fileno(capture->file), STDERR_FILENO);
}

static void capture_end(struct capture *capture, char *text, size_t size)
{
    fflush(stderr);
    dup2(capture->saved_fd, STDERR_FILENO);
    close(capture->saved_fd);
    rewind(capture->file);
    text[fread(text, 1, size - 1, capture->file)] = '\0';
    fclose(capture->file);
}

static void a_file(void **state)
{
    const struct file_row *row = *state;
    struct options options;
    struct capture capture;
    char said[1024];
    options_init(&options);
    capture_start(&capture);
    bool ok = options_read_text(&options, "F", row->text);
    capture_end(&capture, said, sizeof said);
    assert_int_equal(ok, row->says == NULL);
    if (row->says)
        assert_non_null(strstr(said, row->says));
    else
        assert_string_equal(said, "");
}

/* A command line; `says` as above. */
struct flags_row {
    const char *name;
    const char *list[8];
    const char *says;
    enum options_result result;
};

static const struct flags_row flags_rows[] = {
    {"a value behind", {"--data", "d", "--click-ttl", "10d"}, NULL, OPTIONS_OK},
    {"a value with =", {"--data=d", "--click-ttl=10d"}, NULL, OPTIONS_OK},
    {"the last one counts", {"--data", "d", "--threads", "3", "--threads", "4"}, NULL, OPTIONS_OK},
    {"no data", {"--threads", "3"}, "--data is missing", OPTIONS_BAD},
    {"an unknown flag", {"--data", "d", "--foo", "1"}, "unknown option \"--foo\"", OPTIONS_BAD},
    {"underscores", {"--data", "d", "--click_ttl", "1d"}, "unknown option", OPTIONS_BAD},
    {"one dash", {"-data", "d"}, "unknown option \"-data\"", OPTIONS_BAD},
    {"no value", {"--data"}, "--data needs a value", OPTIONS_BAD},
    {"a flag for a value", {"--data", "--threads", "3"}, "--data needs a value", OPTIONS_BAD},
    {"an empty value", {"--data="}, "--data takes a directory", OPTIONS_BAD},
    {"a bad value", {"--data", "d", "--click-ttl", "1"}, "--click-ttl takes a dur", OPTIONS_BAD},
    {"an operand", {"--data", "d", "x"}, "unknown argument \"x\"", OPTIONS_BAD},
    {"a head smaller than a target",
     {"--data", "d", "--head-limit", "4KiB"},
     "target_limit is larger than head_limit",
     OPTIONS_BAD},
    {"a file that is not there",
     {"--data", "d", "--config", "/nowhere/f"},
     "cannot open the configuration file /nowhere/f",
     OPTIONS_FAILED},
};

static void a_command_line(void **state)
{
    const struct flags_row *row = *state;
    struct options options;
    struct capture capture;
    char said[1024];
    char *list[8];
    struct args args = {.list = list};
    for (; args.count < 8 && row->list[args.count]; args.count++)
        list[args.count] = (char *)(uintptr_t)row->list[args.count];
    capture_start(&capture);
    enum options_result result = options_load(&options, &args);
    capture_end(&capture, said, sizeof said);
    options_free(&options);
    assert_int_equal(result, row->result);
    if (row->says)
        assert_non_null(strstr(said, row->says));
    else
        assert_string_equal(said, "");
}

static void every_row_has_a_name_and_a_default_that_is_accepted(void **state)
{
    struct options options;
    options_init(&options); /* asserts that each default is a value */
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        assert_true(option->name.len > 0 && option->wants && option->help);
        assert_true(option->preset.ptr || option->preset_is);
        assert_ptr_equal(options_find(option->name), option);
    }
    assert_int_equal(options.click_ttl_ms, 90 * DAY);
    assert_int_equal(options.impression_ttl_ms, 30 * DAY);
    assert_int_equal(options.collect_dedup_window_ms, 7 * DAY);
    assert_int_equal(options.idle_timeout_ms, 75 * S);
    assert_int_equal(options.write_timeout_ms, 60 * S);
    assert_int_equal(options.body_limit, 64 * 1024);
    assert_int_equal(options.threads, 0);
    assert_null(options.public_url.ptr);
}

/* A reload goes by what differs: each option that is set anew does, and it alone. */
static void what_differs_is_found_in_every_row(void **state)
{
    static const char *const texts[] = {"3",          "3s",    "3KiB",        "on",
                                        "off",        "full",  "127.0.0.1:1", "https://a.example",
                                        "10.0.0.0/8", "70KiB", "100"};
    char problem[OPTIONS_PROBLEM_MAX];
    struct options before;
    (void)state;
    options_init(&before);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        struct options after = before;
        for (size_t j = 0; options_same(&before, &after, option); j++) {
            if (option->type == OPTION_STORE) break; /* there is one value */
            assert_true(j < sizeof texts / sizeof texts[0]);
            (void)options_set_row(&after, option, span_of(texts[j]), problem);
        }
        for (size_t j = 0; j < OPTIONS_COUNT; j++)
            if (j != i) assert_true(options_same(&before, &after, &options_table[j]));
    }
}

/* Writes DIR/adtally.conf into a new directory, whose path is left in `dir`. */
static void make_directory(char *dir, const char *config)
{
    char path[128];
    unit_dir_make(dir, "options");
    snprintf(path, sizeof path, "%s/adtally.conf", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(config, file);
    fclose(file);
}

static void a_flag_wins_over_the_file(void **state)
{
    char dir[UNIT_DIR_MAX], data[] = "--data", flag[] = "--threads", value[] = "3";
    char *list[] = {data, dir, flag, value};
    struct args args = {.list = list, .count = 4};
    struct options options;
    make_directory(dir, "threads = 5\nclick_ttl = 2d\npublic_url = https://a.example\n");
    assert_int_equal(options_load(&options, &args), OPTIONS_OK);
    assert_int_equal(options.threads, 3);
    assert_int_equal(options.click_ttl_ms, 2 * DAY);
    assert_true(span_eq(options.public_url, SPAN("https://a.example")));
    assert_string_equal(options.data_path, dir);
    options_free(&options);
    unit_dir_remove(dir);
}

static void a_value_that_a_flag_replaces_is_checked_all_the_same(void **state)
{
    char dir[UNIT_DIR_MAX], data[] = "--data", flag[] = "--threads", value[] = "3";
    char *list[] = {data, dir, flag, value};
    struct args args = {.list = list, .count = 4};
    struct options options;
    make_directory(dir, "threads = many\n");
    assert_int_equal(options_load(&options, &args), OPTIONS_BAD);
    options_free(&options);
    unit_dir_remove(dir);
}

static void commands_read_the_file_of_the_directory(void **state)
{
    char dir[UNIT_DIR_MAX];
    struct options options;
    make_directory(dir, "click_ttl = 2d\n");
    assert_int_equal(options_load_for(&options, span_of(dir), SPAN_NONE, SPAN_NONE), OPTIONS_OK);
    assert_int_equal(options.click_ttl_ms, 2 * DAY);
    options_free(&options);
    unit_dir_remove(dir);
}

struct address_row {
    const char *name;
    struct span text;
    const char *url; /* host:port in a URL on this machine */
};

static const struct address_row address_rows[] = {
    {"an IPv4 address", SPAN_INIT("192.0.2.1:80"), "192.0.2.1:80"},
    {"every IPv4 address", SPAN_INIT("0.0.0.0:80"), "127.0.0.1:80"},
    {"an IPv6 address", SPAN_INIT("[2001:db8::1]:80"), "[2001:db8::1]:80"},
    {"every IPv6 address", SPAN_INIT("[::]:80"), "[::1]:80"},
    {"all there are", SPAN_INIT(":80"), "127.0.0.1:80"},
    {"the name of this machine", SPAN_INIT("localhost:80"), "127.0.0.1:80"},
};

static void an_address_as_a_url_has_it(void **state)
{
    const struct address_row *row = *state;
    struct value_address address;
    char text[VALUE_ADDRESS_TEXT_MAX];
    assert_true(value_address(&address, row->text));
    value_address_write(text, &address);
    assert_string_equal(text, row->url);
}

int main(void)
{
    UNIT_ADD_ROWS(value_rows, a_number);
    UNIT_ADD_ROWS(text_rows, a_text);
    UNIT_ADD_ROWS(file_rows, a_file);
    UNIT_ADD_ROWS(flags_rows, a_command_line);
    UNIT_ADD_ROWS(address_rows, an_address_as_a_url_has_it);
    UNIT_ADD(every_row_has_a_name_and_a_default_that_is_accepted);
    UNIT_ADD(what_differs_is_found_in_every_row);
    UNIT_ADD(a_flag_wins_over_the_file);
    UNIT_ADD(a_value_that_a_flag_replaces_is_checked_all_the_same);
    UNIT_ADD(commands_read_the_file_of_the_directory);
    return UNIT_RUN_ADDED("options");
}
