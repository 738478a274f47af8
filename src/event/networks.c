#include "event/networks.h"

#include "base/assert.h"

#include <stdlib.h>

enum { ADDRESS_SIZE = 16, ADDRESS_BITS = 128 };

static network_number number_of(const uint8_t address[ADDRESS_SIZE])
{
    network_number number = 0;
    for (int i = 0; i < ADDRESS_SIZE; i++)
        number = number << 8 | address[i];
    return number;
}

struct network_range network_range(const uint8_t address[ADDRESS_SIZE], unsigned prefix_len)
{
    ASSERT(prefix_len <= ADDRESS_BITS);
    network_number all = ~(network_number)0;
    network_number host = prefix_len == ADDRESS_BITS ? 0 : all >> prefix_len;
    network_number first = number_of(address) & ~host;
    return (struct network_range){first, first | host};
}

static int compare(const void *a, const void *b)
{
    const struct network_range *left = a, *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

void networks_sort(struct networks *networks)
{
    size_t kept = 0;
    struct network_range *ranges = networks->ranges;
    if (networks->count == 0) return;
    qsort(ranges, networks->count, sizeof *ranges, compare);
    for (size_t i = 1; i < networks->count; i++) {
        if (ranges[i].first > ranges[kept].last)
            ranges[++kept] = ranges[i];
        else if (ranges[i].last > ranges[kept].last)
            ranges[kept].last = ranges[i].last;
    }
    networks->count = kept + 1;
}

bool networks_have(const struct networks *networks, const uint8_t address[ADDRESS_SIZE])
{
    size_t low = 0, high = networks->count; /* the range is below `high`, if any */
    if (high == 0) return false;
    network_number number = number_of(address);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (networks->ranges[middle].first <= number)
            low = middle;
        else
            high = middle;
    }
    return networks->ranges[low].first <= number && number <= networks->ranges[low].last;
}
