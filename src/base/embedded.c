#include "base/embedded.h"

const struct embedded *embedded_find(const struct embedded *table, size_t count,
                                     struct span address)
{
    for (size_t i = 0; i < count; i++)
        if (span_eq(table[i].address, address)) return &table[i];
    return NULL;
}
