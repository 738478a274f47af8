#include "unit.h"

#include "store/index.h"

#include <stdio.h>
#include <string.h>

/* A model: every entry ever added, in a plain array. */
enum { MODEL_MAX = 20000 };
struct model {
    struct index_key key;
    uint64_t value;
    bool present;
};

static uint64_t random_state = 88172645463325252ULL;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool contains(struct index *index, const struct index_key *key, uint64_t value)
{
    struct index_cursor cursor;
    uint64_t found = index_first(index, key, &cursor);
    while (found && found != value)
        found = index_next(index, key, &cursor);
    return found == value;
}

static void check_against_model(unsigned words)
{
    static struct model model[MODEL_MAX];
    struct index index;
    index_init(&index, words);
    size_t present = 0;
    for (size_t i = 0; i < MODEL_MAX; i++) {
        /* few shards and few homes, so that clusters are long and wrap around */
        model[i].key = (struct index_key){{(next_random() % 4) | (next_random() % 64) << 58 |
                                               (next_random() % 500) * INDEX_SHARDS,
                                           next_random() % 3}};
        model[i].value = INDEX_VALUE(i + 1, i);
        model[i].present = index_add(&index, &model[i].key, model[i].value);
        assert_true(model[i].present);
        present++;
        struct model *victim = &model[next_random() % (i + 1)];
        if (next_random() % 3 == 0) {
            assert_int_equal(index_remove(&index, &victim->key, victim->value), victim->present);
            present -= victim->present;
            victim->present = false;
        }
    }
    assert_int_equal(index_count(&index), present);
    for (size_t i = 0; i < MODEL_MAX; i++)
        assert_int_equal(contains(&index, &model[i].key, model[i].value), model[i].present);
    index_fini(&index);
}

static void one_word_keys_behave_as_a_list_of_entries(void **state)
{
    (void)state;
    check_against_model(1);
}

static void two_word_keys_behave_as_a_list_of_entries(void **state)
{
    (void)state;
    check_against_model(2);
}

static void two_word_keys_differ_in_either_word(void **state)
{
    (void)state;
    struct index index;
    struct index_key a = {{7, 1}}, b = {{7, 2}};
    struct index_cursor cursor;
    index_init(&index, 2);
    assert_true(index_add(&index, &a, INDEX_VALUE(1, 0)));
    assert_int_equal(index_first(&index, &b, &cursor), 0);
    assert_int_equal(index_first(&index, &a, &cursor), INDEX_VALUE(1, 0));
    index_fini(&index);
}

static void same_key_has_all_its_candidates(void **state)
{
    (void)state;
    struct index index;
    struct index_key key = {{42}};
    struct index_cursor cursor;
    uint64_t seen = 0, count = 0;
    index_init(&index, 1);
    for (uint64_t sequence = 1; sequence <= 50; sequence++)
        assert_true(index_add(&index, &key, INDEX_VALUE(sequence, 3)));
    for (uint64_t value = index_first(&index, &key, &cursor); value;
         value = index_next(&index, &key, &cursor), count++)
        seen += INDEX_SEQUENCE(value);
    assert_int_equal(count, 50);
    assert_int_equal(seen, 50 * 51 / 2);
    index_fini(&index);
}

static void replace_changes_only_that_entry(void **state)
{
    (void)state;
    struct index index;
    struct index_key key = {{42}};
    struct index_cursor cursor;
    index_init(&index, 1);
    assert_true(index_add(&index, &key, INDEX_VALUE(5, 1)));
    assert_false(index_replace(&index, &key, INDEX_VALUE(5, 2), INDEX_VALUE(6, 3)));
    assert_true(index_replace(&index, &key, INDEX_VALUE(5, 1), INDEX_VALUE(6, 3)));
    assert_int_equal(index_first(&index, &key, &cursor), INDEX_VALUE(6, 3));
    assert_int_equal(index_next(&index, &key, &cursor), 0);
    index_fini(&index);
}

static void what_is_below_the_floor_is_absent_and_makes_room(void **state)
{
    (void)state;
    enum { ADDED = 200000, KEPT = 1000 };
    struct index index;
    struct index_cursor cursor;
    index_init(&index, 1);
    for (uint64_t sequence = 1; sequence <= ADDED; sequence++) {
        struct index_key key = {{sequence * 0x9e3779b97f4a7c15ULL}};
        index.floor = sequence > KEPT ? sequence - KEPT : 0;
        assert_true(index_add(&index, &key, INDEX_VALUE(sequence, 0)));
    }
    struct index_key old = {{1 * 0x9e3779b97f4a7c15ULL}};
    struct index_key young = {{(uint64_t)ADDED * 0x9e3779b97f4a7c15ULL}};
    assert_int_equal(index_first(&index, &old, &cursor), 0);
    assert_int_equal(index_first(&index, &young, &cursor), INDEX_VALUE(ADDED, 0));
    assert_true(index_bytes(&index) < (uint64_t)INDEX_SHARDS * 64 * 16);
    index_fini(&index);
}

/* At every size, not only where all shards have just become full. */
static void check_bytes(unsigned words, uint64_t bytes_max)
{
    enum { COUNTED = 200000, ADDED = 1000000 };
    struct index index;
    index_init(&index, words);
    for (uint64_t sequence = 1; sequence <= ADDED; sequence++) {
        struct index_key key = {{next_random(), next_random()}};
        assert_true(index_add(&index, &key, INDEX_VALUE(sequence, 0)));
        if (sequence >= COUNTED && index_bytes(&index) > bytes_max * sequence)
            fail_msg("%llu bytes for %llu keys", (unsigned long long)index_bytes(&index),
                     (unsigned long long)sequence);
    }
    assert_int_equal(index_count(&index), ADDED);
    index_fini(&index);
}

static void keys_of_one_word_take_at_most_21_bytes_each(void **state)
{
    (void)state;
    check_bytes(1, 21);
}

static void keys_of_two_words_take_at_most_31_bytes_each(void **state)
{
    (void)state;
    check_bytes(2, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_word_keys_behave_as_a_list_of_entries),
        cmocka_unit_test(two_word_keys_behave_as_a_list_of_entries),
        cmocka_unit_test(two_word_keys_differ_in_either_word),
        cmocka_unit_test(same_key_has_all_its_candidates),
        cmocka_unit_test(replace_changes_only_that_entry),
        cmocka_unit_test(what_is_below_the_floor_is_absent_and_makes_room),
        cmocka_unit_test(keys_of_one_word_take_at_most_21_bytes_each),
        cmocka_unit_test(keys_of_two_words_take_at_most_31_bytes_each),
    };
    return UNIT_RUN(tests);
}
