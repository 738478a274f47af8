#include "dir.h"
#include "unit.h"

#include "admin/admin.h"
#include "base/clock.h"
#include "ledger/ledger.h"
#include "token/hash.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Admin commands on a ledger of their own, and the socket that takes them. */

enum { ANSWER_SIZE = 1 << 20 };

struct bench {
    char dir[UNIT_DIR_MAX];
    struct admin admin;
    char answer[ANSWER_SIZE]; /* NUL-terminated */
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct store *store;
    struct store_options options;
    struct ledger_options ledger_options;
    struct api_options api_options;
    char problem[STORE_PROBLEM_MAX];
    assert_true(hash_start());
    unit_dir_make(bench->dir, "admin");
    store_options_init(&options);
    options.dir = bench->dir;
    options.create = true;
    assert_int_equal(store_open(&store, &options, problem), ERR_OK);
    ledger_options_init(&ledger_options);
    assert_int_equal(ledger_start(&bench->admin.ledger, &store, 1, &ledger_options), ERR_OK);
    api_options_init(&api_options);
    bench->admin.api = api_new(&api_options, bench->admin.ledger);
    bench->admin.listen_host = SPAN("127.0.0.1:8080");
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    api_free(bench->admin.api);
    ledger_stop(bench->admin.ledger);
    unit_dir_remove(bench->dir);
    free(bench);
    return 0;
}

static const char *run(struct bench *bench, const char *request)
{
    struct writer answer;
    writer_init(&answer, bench->answer, sizeof bench->answer - 1);
    admin_execute(&bench->admin, span_of(request), &answer);
    assert_false(answer.overflow);
    bench->answer[answer.len] = '\0';
    return bench->answer;
}

static bool says(const char *answer, const char *part)
{
    return strstr(answer, part) != NULL;
}

/* The text of `"name":"..."` in the last answer, copied. */
static void take(struct bench *bench, const char *name, char *out, size_t size)
{
    char start[64];
    snprintf(start, sizeof start, "\"%s\":\"", name);
    const char *at = strstr(bench->answer, start);
    assert_non_null(at);
    at += strlen(start);
    size_t len = strcspn(at, "\"");
    assert_true(len < size);
    memcpy(out, at, len);
    out[len] = '\0';
}

static const struct api_key *find(struct bench *bench, const char *secret, enum apikey_class cls)
{
    struct keyring_memo memo = {0};
    return keyring_find(ledger_keyring(bench->admin.ledger), &memo, span_of(secret), cls,
                        clock_wall_ms());
}

static void a_key_is_good_from_its_answer_until_it_is_revoked(void **state)
{
    struct bench *bench = *state;
    char id[64], secret[APIKEY_SECRET_MAX + 1], request[128];
    assert_true(says(run(bench, "{\"command\":\"key_create\",\"class\":\"partner\",\"partner_id\":"
                                "\"p\",\"advertiser_id\":\"a\",\"tag_id\":\"t\",\"label\":\"l\"}"),
                     "{\"ok\":true,\"id\":\""));
    take(bench, "id", id, sizeof id);
    take(bench, "secret", secret, sizeof secret);
    const struct api_key *key = find(bench, secret, APIKEY_PARTNER);
    assert_non_null(key);
    assert_true(span_eq(key->partner_id, SPAN("p")) && span_eq(key->advertiser_id, SPAN("a")));
    assert_true(span_eq(key->tag_id, SPAN("t")) && span_eq(key->label, SPAN("l")));
    assert_null(find(bench, secret, APIKEY_ADSERVER));

    run(bench, "{\"command\":\"key_list\"}");
    assert_true(says(bench->answer, id) && !says(bench->answer, secret));
    assert_false(says(bench->answer, "revoked_at"));

    snprintf(request, sizeof request, "{\"command\":\"key_revoke\",\"id\":\"%s\"}", id);
    assert_string_equal(run(bench, request), "{\"ok\":true}");
    assert_null(find(bench, secret, APIKEY_PARTNER));
    assert_true(says(run(bench, "{\"command\":\"key_list\"}"), "\"revoked_at\":\"20"));
    assert_string_equal(run(bench, request), "{\"ok\":true}");
}

static void an_imported_secret_is_not_shown_and_not_taken_twice(void **state)
{
    struct bench *bench = *state;
    static const char request[] =
        "{\"command\":\"key_create\",\"class\":\"adserver\",\"label\":\"l\","
        "\"secret\":\"vendor \\\" \\\\0123456789\"}";
    assert_true(says(run(bench, request), "16 to 256 visible ASCII characters"));
    static const char good[] = "{\"command\":\"key_create\",\"class\":\"adserver\",\"label\":\"l\","
                               "\"secret\":\"vendor\\\"\\\\0123456789\"}";
    assert_true(says(run(bench, good), "{\"ok\":true,\"id\":\""));
    assert_false(says(bench->answer, "vendor"));
    assert_non_null(find(bench, "vendor\"\\0123456789", APIKEY_ADSERVER));
    assert_true(says(run(bench, good), "a key with this secret exists already"));
}

static void a_key_that_expired_long_ago_can_be_made(void **state)
{
    struct bench *bench = *state;
    char secret[APIKEY_SECRET_MAX + 1];
    static const char *const times[] = {"1970-01-01T00:00:00Z", "1969-01-01T00:00:00+01:00",
                                        "2020-02-29T23:59:59.5z"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "{\"command\":\"key_create\",\"class\":\"admin\",\"label\":\"l\",\"expires\":"
                 "\"%s\"}",
                 times[i]);
        run(bench, request);
        take(bench, "secret", secret, sizeof secret);
        assert_null(find(bench, secret, APIKEY_ADMIN));
    }
}

struct refusal {
    const char *name;
    const char *request;
    const char *error;
};

#define CREATE "{\"command\":\"key_create\",\"label\":\"l\","

/* clang-format off */
static const struct refusal refusals[] = {
    {"no JSON", "hello", "the command is no JSON"},
    {"no object", "[]", "does not know this command"},
    {"no command", "{}", "does not know this command"},
    {"an unknown command", "{\"command\":\"key\"}", "does not know this command"},
    {"a command that is no string", "{\"command\":1}", "does not know this command"},
    {"no class", CREATE "\"partner_id\":\"p\"}", "class is one of"},
    {"an unknown class", CREATE "\"class\":\"god\"}", "class is one of"},
    {"a class that is no string", CREATE "\"class\":7}", "class is one of"},
    {"no partner", CREATE "\"class\":\"partner\"}", "partner_id is missing"},
    {"a blank partner", CREATE "\"class\":\"partner\",\"partner_id\":\" \"}", "is blank"},
    {"a partner that is no string", CREATE "\"class\":\"partner\",\"partner_id\":1}", "strings"},
    {"a control character", CREATE "\"class\":\"partner\",\"partner_id\":\"a\\u001b\"}",
     "partner_id has a control character"},
    {"no publisher", CREATE "\"class\":\"publisher\"}", "publisher_id is missing"},
    {"a partner's text in an admin key", CREATE "\"class\":\"admin\",\"tag_id\":\"t\"}",
     "tag_id does not belong"},
    {"no label", "{\"command\":\"key_create\",\"class\":\"admin\"}", "label is missing"},
    {"no time", CREATE "\"class\":\"admin\",\"expires\":\"tomorrow\"}", "expires is a time"},
    {"a time without offset", CREATE "\"class\":\"admin\",\"expires\":\"2030-01-01T00:00:00\"}",
     "expires is a time"},
    {"a time that is no string", CREATE "\"class\":\"admin\",\"expires\":0}", "expires is a time"},
    {"a short secret", CREATE "\"class\":\"admin\",\"secret\":\"0123\"}", "a secret to import"},
    {"an empty secret", CREATE "\"class\":\"admin\",\"secret\":\"\"}", "a secret to import"},
    {"a revocation of nobody", "{\"command\":\"key_revoke\",\"id\":\"x\"}", "no key has this id"},
    {"a revocation without id", "{\"command\":\"key_revoke\"}", "id is missing"},
    {"an export of nothing", "{\"command\":\"token_key_export\"}", "kid is missing"},
    {"an export of nobody", "{\"command\":\"token_key_export\",\"kid\":\"01234567\"}",
     "no token key has this kid"},
    {"a retirement of nobody", "{\"command\":\"token_key_retire\",\"kid\":\"01234567\"}",
     "no token key has this kid"},
    {"a kid of another length", "{\"command\":\"token_key_retire\",\"kid\":\"x\"}",
     "no token key has this kid"},
    {"a mint of nothing", "{\"command\":\"mint\"}", "request is missing"},
    {"a mint of no ads", "{\"command\":\"mint\",\"request\":{}}",
     "\"answer\":{\"detail\":[{\"type\":\"missing\""},
};
/* clang-format on */

static struct bench *shared; /* of the refusals, which change nothing */

static void a_refusal_says_why_and_changes_nothing(void **state)
{
    const struct refusal *row = *state;
    run(shared, row->request);
    assert_true(says(shared->answer, "{\"ok\":false,\"error\":\""));
    assert_true(says(shared->answer, row->error));
    assert_string_equal(run(shared, "{\"command\":\"key_list\"}"), "{\"ok\":true,\"keys\":[]}");
}

static void token_keys_rotate_and_the_newest_stays(void **state)
{
    struct bench *bench = *state;
    char first[64], second[64], request[128];
    run(bench, "{\"command\":\"token_key_list\"}");
    assert_true(says(bench->answer, "\"newest\":true}]}"));
    take(bench, "kid", first, sizeof first);
    run(bench, "{\"command\":\"token_key_rotate\"}");
    take(bench, "kid", second, sizeof second);
    assert_string_not_equal(first, second);
    assert_true(says(run(bench, "{\"command\":\"token_key_list\"}"), "\"newest\":false},{\"kid\""));

    snprintf(request, sizeof request, "{\"command\":\"token_key_retire\",\"kid\":\"%s\"}", second);
    assert_true(says(run(bench, request), "rotate first"));
    snprintf(request, sizeof request, "{\"command\":\"token_key_export\",\"kid\":\"%s\"}", first);
    assert_true(says(run(bench, request), "{\"ok\":true,\"key\":\"k4.local."));
    snprintf(request, sizeof request, "{\"command\":\"token_key_retire\",\"kid\":\"%s\"}", first);
    assert_true(says(run(bench, request), "{\"ok\":true"));
    assert_true(says(run(bench, request), "no token key has this kid"));
}

static void there_is_an_end_to_rotation(void **state)
{
    struct bench *bench = *state;
    for (int i = 1; i < TOKEN_KEYS_MAX; i++)
        assert_true(says(run(bench, "{\"command\":\"token_key_rotate\"}"), "{\"ok\":true"));
    assert_true(says(run(bench, "{\"command\":\"token_key_rotate\"}"), "retire one first"));
}

static void the_click_signing_key_is_exported_as_hex(void **state)
{
    struct bench *bench = *state;
    char key[128];
    run(bench, "{\"command\":\"token_key_export\",\"kid\":\"click-signing\"}");
    take(bench, "key", key, sizeof key);
    assert_int_equal(strlen(key), 64);
    assert_int_equal(strspn(key, "0123456789abcdef"), 64);
}

static void minting_names_the_listen_address(void **state)
{
    struct bench *bench = *state;
    run(bench,
        "{\"command\":\"mint\",\"request\":{\"ads\":[{\"publisher_id\":\"p\",\"landing_url\":"
        "\"https://a.example/\"}]}}");
    assert_true(says(bench->answer, "{\"ok\":true,\"answer\":{\"ads\":[{\"bidId\":\""));
    assert_true(says(bench->answer, "\"http://127.0.0.1:8080/api/v1/tracking/redirect?token="));
}

static void an_answer_that_does_not_fit_is_a_refusal(void **state)
{
    struct bench *bench = *state;
    char memory[80];
    struct writer answer;
    writer_init(&answer, memory, sizeof memory);
    admin_execute(&bench->admin, SPAN("{\"command\":\"token_key_list\"}"), &answer);
    assert_true(span_eq(writer_text(&answer),
                        SPAN("{\"ok\":false,\"error\":\"the answer is too large\"}")));
}

/* ---- the socket ---- */

static void call_over(struct bench *bench, const char *dir)
{
    struct admin_socket *socket;
    struct writer answer;
    assert_int_equal(admin_socket_start(&socket, dir, &bench->admin), ERR_OK);
    for (int i = 0; i < 3; i++) {
        writer_init(&answer, bench->answer, sizeof bench->answer);
        assert_int_equal(admin_socket_call(dir, SPAN("{\"command\":\"key_list\"}"), &answer),
                         ERR_OK);
        assert_true(span_eq(writer_text(&answer), SPAN("{\"ok\":true,\"keys\":[]}")));
    }
    admin_socket_stop(socket);
    writer_init(&answer, bench->answer, sizeof bench->answer);
    assert_int_equal(admin_socket_call(dir, SPAN("{}"), &answer), ERR_NOT_FOUND);
}

static void commands_go_over_the_socket(void **state)
{
    struct bench *bench = *state;
    call_over(bench, bench->dir);
}

static void a_path_longer_than_a_socket_address_is_no_obstacle(void **state)
{
    struct bench *bench = *state;
    char dir[1024];
    size_t len = (size_t)snprintf(dir, sizeof dir, "%s/", bench->dir);
    memset(dir + len, 'd', 200);
    dir[len + 200] = '\0';
    assert_int_equal(mkdir(dir, 0700), 0);
    call_over(bench, dir);
}

static void the_socket_is_its_owners_alone_and_a_dead_one_is_replaced(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    struct writer answer;
    snprintf(address.sun_path, sizeof address.sun_path, "%.64s/admin.sock", bench->dir);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (const struct sockaddr *)&address, sizeof address), 0);
    close(dead);
    writer_init(&answer, bench->answer, sizeof bench->answer);
    assert_int_equal(admin_socket_call(bench->dir, SPAN("{}"), &answer), ERR_NOT_FOUND);
    struct admin_socket *socket;
    assert_int_equal(admin_socket_start(&socket, bench->dir, &bench->admin), ERR_OK);
    assert_int_equal(stat(address.sun_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    admin_socket_stop(socket);
    assert_int_not_equal(stat(address.sun_path, &info), 0);
}

static void a_request_past_the_limit_is_refused(void **state)
{
    struct bench *bench = *state;
    struct admin_socket *socket;
    struct writer answer;
    char *request = malloc(ADMIN_REQUEST_MAX + 1);
    memset(request, ' ', ADMIN_REQUEST_MAX + 1);
    writer_init(&answer, bench->answer, sizeof bench->answer);
    admin_execute(&bench->admin, (struct span){request, ADMIN_REQUEST_MAX + 1}, &answer);
    assert_true(span_starts_with(writer_text(&answer), SPAN("{\"ok\":false")));
    assert_int_equal(admin_socket_start(&socket, bench->dir, &bench->admin), ERR_OK);
    writer_init(&answer, bench->answer, sizeof bench->answer);
    enum err err =
        admin_socket_call(bench->dir, (struct span){request, ADMIN_REQUEST_MAX + 1}, &answer);
    /* The server may hang up before all of it was sent. */
    assert_true(err == ERR_IO || span_starts_with(writer_text(&answer), SPAN("{\"ok\":false")));
    admin_socket_stop(socket);
    free(request);
}

/* A client that connects and says nothing must not hold up the end of the server. */
static void stopping_does_not_wait_for_a_silent_client(void **state)
{
    struct bench *bench = *state;
    struct admin_socket *admin_socket;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(admin_socket_start(&admin_socket, bench->dir, &bench->admin), ERR_OK);
    snprintf(address.sun_path, sizeof address.sun_path, "%.64s/admin.sock", bench->dir);
    int silent = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(silent, (const struct sockaddr *)&address, sizeof address), 0);
    usleep(20 * 1000);
    int64_t start_ms = clock_mono_ms();
    admin_socket_stop(admin_socket);
    assert_true(clock_mono_ms() - start_ms < 2000);
    close(silent);
}

#define CASE(check) cmocka_unit_test_setup_teardown(check, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_key_is_good_from_its_answer_until_it_is_revoked),
        CASE(an_imported_secret_is_not_shown_and_not_taken_twice),
        CASE(a_key_that_expired_long_ago_can_be_made),
        CASE(token_keys_rotate_and_the_newest_stays),
        CASE(there_is_an_end_to_rotation),
        CASE(the_click_signing_key_is_exported_as_hex),
        CASE(minting_names_the_listen_address),
        CASE(an_answer_that_does_not_fit_is_a_refusal),
        CASE(commands_go_over_the_socket),
        CASE(a_path_longer_than_a_socket_address_is_no_obstacle),
        CASE(the_socket_is_its_owners_alone_and_a_dead_one_is_replaced),
        CASE(a_request_past_the_limit_is_refused),
        CASE(stopping_does_not_wait_for_a_silent_client),
    };
    void *state;
    UNIT_ADD_ROWS(refusals, a_refusal_says_why_and_changes_nothing);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        unit_cases[unit_cases_count++] = tests[i];
    set_up(&state);
    shared = state;
    int failed = UNIT_RUN_ADDED("admin");
    tear_down(&state);
    return failed;
}
