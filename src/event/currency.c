#include "event/text.h"

#include <string.h>

enum { CODE_LEN = 3 };

#define CURRENCY(code, withdrawn) code,
static const char codes[][CODE_LEN + 1] = {
#include "event/currency_table.h"
};
#undef CURRENCY

bool text_is_currency(struct span code)
{
    char upper[CODE_LEN];
    if (code.len != CODE_LEN) return false;
    for (size_t i = 0; i < CODE_LEN; i++) {
        char c = code.ptr[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    size_t low = 0;
    size_t high = sizeof codes / sizeof codes[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(upper, codes[middle], CODE_LEN);
        if (order == 0) return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
