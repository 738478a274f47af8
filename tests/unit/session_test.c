#include "unit.h"

#include "admin/session.h"
#include "token/hash.h"

/* admin/session.h, with a clock of the test's. */

static struct sessions sessions;
static const struct api_key key, other;

static struct span text_of(const char *token)
{
    return (struct span){token, SESSION_TOKEN_LEN};
}

static int begin(void **state)
{
    memset(&sessions, 0, sizeof sessions);
    return 0;
}

static void a_session_is_found_by_its_token_until_it_ends(void **state)
{
    char token[SESSION_TOKEN_LEN], second[SESSION_TOKEN_LEN];
    session_start(&sessions, &key, 1000, token);
    session_start(&sessions, &other, 1000, second);
    assert_memory_not_equal(token, second, sizeof token);
    assert_ptr_equal(session_find(&sessions, text_of(token), 1000)->key, &key);
    assert_ptr_equal(session_find(&sessions, text_of(second), 1000)->key, &other);
    assert_non_null(session_find(&sessions, text_of(token), 999 + SESSION_LIFE_MS));
    assert_null(session_find(&sessions, text_of(token), 1000 + SESSION_LIFE_MS));
    session_end(session_find(&sessions, text_of(token), 1000));
    assert_null(session_find(&sessions, text_of(token), 1000));
    assert_non_null(session_find(&sessions, text_of(second), 1000));
}

static void a_token_that_was_never_given_finds_nothing(void **state)
{
    char token[SESSION_TOKEN_LEN], zeros[SESSION_TOKEN_LEN] = {0};
    assert_null(session_find(&sessions, text_of(zeros), 0)); /* a free one's */
    session_start(&sessions, &key, 0, token);
    for (size_t i = 0; i < SESSION_TOKEN_LEN; i++) {
        token[i] ^= 1;
        assert_null(session_find(&sessions, text_of(token), 0));
        token[i] ^= 1;
    }
    assert_null(session_find(&sessions, (struct span){token, SESSION_TOKEN_LEN - 1}, 0));
    assert_null(session_find(&sessions, SPAN(""), 0));
}

static void the_one_that_ends_first_makes_room(void **state)
{
    char tokens[SESSIONS_MAX + 1][SESSION_TOKEN_LEN];
    for (int i = 0; i <= SESSIONS_MAX; i++)
        session_start(&sessions, &key, 1000 + i, tokens[i]);
    assert_null(session_find(&sessions, text_of(tokens[0]), 2000));
    for (int i = 1; i <= SESSIONS_MAX; i++)
        assert_non_null(session_find(&sessions, text_of(tokens[i]), 2000));
}

static void a_serial_is_of_one_session_alone(void **state)
{
    char token[SESSION_TOKEN_LEN];
    session_start(&sessions, &key, 0, token);
    uint64_t serial = session_find(&sessions, text_of(token), 0)->serial;
    assert_non_null(session_of_serial(&sessions, serial, 0));
    session_end(session_find(&sessions, text_of(token), 0));
    session_start(&sessions, &key, 0, token);
    assert_null(session_of_serial(&sessions, serial, 0));
}

#define CASE(check) cmocka_unit_test_setup(check, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_session_is_found_by_its_token_until_it_ends),
        CASE(a_token_that_was_never_given_finds_nothing),
        CASE(the_one_that_ends_first_makes_room),
        CASE(a_serial_is_of_one_session_alone),
    };
    if (!hash_start()) return 1;
    return UNIT_RUN(tests) != 0;
}
