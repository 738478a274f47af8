#include "unit.h"

#include "event/networks.h"
#include "random.h"

/* Bit by bit, which networks.c never does. */
static bool shares_prefix(const uint8_t a[16], const uint8_t b[16], unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1) return false;
    return true;
}

static void empty_set_has_nothing(void **state)
{
    struct networks networks = {0};
    const uint8_t address[16] = {0};
    networks_sort(&networks);
    assert_false(networks_have(&networks, address));
}

static void ends_of_a_network_are_in_it(void **state)
{
    uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 203, [13] = 0, [14] = 113, [15] = 77};
    struct network_range range = network_range(address, 96 + 24);
    struct networks networks = {&range, 1};
    networks_sort(&networks);
    for (int last = 0; last < 256; last += 255) {
        address[14] = 113, address[15] = (uint8_t)last;
        assert_true(networks_have(&networks, address));
    }
    address[14] = 114, address[15] = 0;
    assert_false(networks_have(&networks, address));
    address[14] = 112, address[15] = 255;
    assert_false(networks_have(&networks, address));
}

static void everything_and_one_address(void **state)
{
    uint8_t address[16] = {0x20, 1};
    struct network_range range = network_range(address, 128);
    struct networks networks = {&range, 1};
    assert_true(networks_have(&networks, address));
    address[15] = 1;
    assert_false(networks_have(&networks, address));
    range = network_range(address, 0);
    memset(address, 0xff, sizeof address);
    assert_true(networks_have(&networks, address));
    memset(address, 0, sizeof address);
    assert_true(networks_have(&networks, address));
}

static void joined_ranges_do_not_touch(void **state)
{
    const uint8_t wide[16] = {10}, narrow[16] = {10, 1}, beside[16] = {12};
    struct network_range ranges[] = {network_range(narrow, 16), network_range(beside, 8),
                                     network_range(wide, 8), network_range(wide, 8)};
    struct networks networks = {ranges, 4};
    networks_sort(&networks);
    assert_int_equal(networks.count, 2);
    assert_true(networks_have(&networks, (const uint8_t[16]){10, 255}));
    assert_false(networks_have(&networks, (const uint8_t[16]){11}));
    assert_true(networks_have(&networks, (const uint8_t[16]){12, 255}));
}

/* Few first bytes, so that networks overlap and addresses hit. */
static void random_address(uint64_t *random, uint8_t out[16])
{
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)random_below(random, i < 2 ? 4 : 256);
}

static void same_as_bit_by_bit(void **state)
{
    enum { ROUNDS = 2000, NETWORKS = 30, ADDRESSES = 20 };
    uint64_t random = random_seed("same_as_bit_by_bit");
    size_t found = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t bases[NETWORKS][16];
        unsigned lens[NETWORKS];
        struct network_range ranges[NETWORKS];
        struct networks networks = {ranges, 1 + random_below(&random, NETWORKS)};
        size_t count = networks.count;
        for (size_t i = 0; i < count; i++) {
            random_address(&random, bases[i]);
            lens[i] = (unsigned)random_below(&random, 30) + 6;
            ranges[i] = network_range(bases[i], lens[i]);
        }
        networks_sort(&networks);
        for (int i = 0; i < ADDRESSES; i++) {
            uint8_t address[16];
            bool expected = false;
            random_address(&random, address);
            for (size_t j = 0; j < count; j++)
                expected |= shares_prefix(address, bases[j], lens[j]);
            found += expected;
            assert_int_equal(networks_have(&networks, address), expected);
        }
    }
    assert_true(found > 1000 && found < (size_t)ROUNDS * ADDRESSES - 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_set_has_nothing),      cmocka_unit_test(ends_of_a_network_are_in_it),
        cmocka_unit_test(everything_and_one_address), cmocka_unit_test(joined_ranges_do_not_touch),
        cmocka_unit_test(same_as_bit_by_bit),
    };
    return UNIT_RUN(tests);
}
