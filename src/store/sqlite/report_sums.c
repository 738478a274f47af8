#include "store/sqlite/report_sums.h"

#include "base/assert.h"
#include "base/rng.h"
#include "token/hash.h"

#include <stdlib.h>
#include <string.h>

enum { SUMS_FIRST = 256, BYTES_FIRST = 4096, TEXTS_FIRST = 256, VARINT_BITS = 7 };
enum { SUM_BYTES_MAX = 5 + 5 + 10 + 19 };

__extension__ typedef unsigned __int128 wide;

bool report_grow(void **memory, size_t *cap, size_t needed, size_t first, size_t size)
{
    size_t wanted = *cap ? *cap : first;
    if (needed <= *cap) return true;
    while (wanted < needed)
        wanted *= 2;
    char *grown = realloc(*memory, wanted * size);
    if (!grown) return false;
    memset(grown + *cap * size, 0, (wanted - *cap) * size);
    *memory = grown;
    *cap = wanted;
    return true;
}

static bool grow_bytes(struct report_bytes *bytes, size_t more)
{
    return report_grow((void **)&bytes->bytes, &bytes->cap, bytes->len + more, BYTES_FIRST, 1);
}

/* -- sums ---------------------------------------------------------------------------------- */

enum err report_sums_add(struct report_sums *sums, const struct report_sum *sum, size_t count)
{
    if (!report_grow((void **)&sums->sums, &sums->cap, sums->count + count, SUMS_FIRST,
                     sizeof *sum))
        return ERR_NO_MEMORY;
    if (count) memcpy(sums->sums + sums->count, sum, count * sizeof *sum);
    sums->count += count;
    return ERR_OK;
}

static int compare_sums(const void *a, const void *b)
{
    uint64_t left = ((const struct report_sum *)a)->key;
    uint64_t right = ((const struct report_sum *)b)->key;
    return (left > right) - (left < right);
}

static bool is_nothing(const struct report_sum *sum)
{
    return sum->count == 0 && sum->amount == 0;
}

void report_sums_settle(struct report_sums *sums)
{
    size_t kept = 0;
    if (sums->count) qsort(sums->sums, sums->count, sizeof *sums->sums, compare_sums);
    for (size_t i = 0; i < sums->count;) {
        struct report_sum sum = sums->sums[i++];
        for (; i < sums->count && sums->sums[i].key == sum.key; i++) {
            sum.count += sums->sums[i].count;
            sum.amount += sums->sums[i].amount;
        }
        if (!is_nothing(&sum)) sums->sums[kept++] = sum;
    }
    sums->count = kept;
}

enum err report_sums_merge(struct report_sums *out, const struct report_sums *a,
                           const struct report_sums *b)
{
    size_t left = 0, right = 0;
    if (!report_grow((void **)&out->sums, &out->cap, a->count + b->count + 1, SUMS_FIRST,
                     sizeof *out->sums))
        return ERR_NO_MEMORY;
    out->count = 0;
    while (left < a->count || right < b->count) {
        bool is_left =
            right == b->count || (left < a->count && a->sums[left].key <= b->sums[right].key);
        struct report_sum sum = is_left ? a->sums[left++] : b->sums[right++];
        if (is_left && right < b->count && b->sums[right].key == sum.key) {
            sum.count += b->sums[right].count;
            sum.amount += b->sums[right++].amount;
        }
        if (!is_nothing(&sum)) out->sums[out->count++] = sum;
    }
    return ERR_OK;
}

void report_sums_free(struct report_sums *sums)
{
    free(sums->sums);
    *sums = (struct report_sums){.sums = NULL};
}

/* -- packed -------------------------------------------------------------------------------- */

/* For each sum four numbers, of seven bits a byte, the lowest first: the ad less the one before,
 * the kind, and, with the sign in the lowest bit, count and amount. */

static void put_number(struct report_bytes *out, wide number)
{
    for (; number >> VARINT_BITS; number >>= VARINT_BITS)
        out->bytes[out->len++] = (char)(uint8_t)(0x80 | (uint8_t)number);
    out->bytes[out->len++] = (char)(uint8_t)number;
}

static wide with_sign(report_amount value)
{
    return (wide)value << 1 ^ (wide)(value >> 127);
}

enum err report_pack(struct report_bytes *out, const struct report_sum *sums, size_t count)
{
    uint32_t ad = count ? report_key_ad(sums[0].key) / REPORT_CHUNK * REPORT_CHUNK : 0;
    out->len = 0;
    if (!grow_bytes(out, count * SUM_BYTES_MAX)) return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        put_number(out, report_key_ad(sums[i].key) - ad);
        put_number(out, report_key_kind(sums[i].key));
        put_number(out, with_sign(sums[i].count));
        put_number(out, with_sign(sums[i].amount));
        ad = report_key_ad(sums[i].key);
    }
    return ERR_OK;
}

/* Most numbers are short; `bits` bounds those that are not. */
static bool take_number(struct span *rest, int bits, wide *number)
{
    *number = 0;
    for (int shift = 0; rest->len && shift < bits; shift += VARINT_BITS) {
        uint8_t byte = (uint8_t)*rest->ptr++;
        rest->len--;
        *number |= (wide)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static bool take_u64(struct span *rest, int bits, uint64_t *number)
{
    *number = 0;
    for (int shift = 0; rest->len && shift < bits; shift += VARINT_BITS) {
        uint8_t byte = (uint8_t)*rest->ptr++;
        rest->len--;
        *number |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

void report_packed_begin(struct report_packed *packed, struct span bytes, int64_t chunk)
{
    uint32_t ad = (uint32_t)chunk * REPORT_CHUNK;
    *packed = (struct report_packed){bytes, report_key(ad, 0), ad + REPORT_CHUNK};
}

bool report_packed_next(struct report_packed *packed, struct report_sum *sum)
{
    struct span rest = packed->rest;
    uint64_t more, kind, count;
    wide amount;
    if (!rest.len) return false;
    if (!take_u64(&rest, 32, &more) || !take_u64(&rest, 35, &kind) ||
        !take_u64(&rest, 64, &count) || !take_number(&rest, 128, &amount))
        return false;
    uint64_t ad = report_key_ad(packed->key) + more;
    if (ad >= packed->ad_end || kind > UINT32_MAX) return false;
    sum->key = packed->key = report_key((uint32_t)ad, (uint32_t)kind);
    sum->count = (int64_t)(count >> 1 ^ -(count & 1));
    sum->amount = (report_amount)(amount >> 1 ^ -(amount & 1));
    packed->rest = rest;
    return true;
}

/* -- texts --------------------------------------------------------------------------------- */

static size_t slot_of(const struct report_texts *texts, struct span text)
{
    return hash_fingerprint(texts->key, text.len ? text.ptr : "", text.len) &
           (texts->slots_cap - 1);
}

struct span report_texts_get(const struct report_texts *texts, uint32_t number)
{
    size_t begin = number ? texts->ends[number - 1] : 0;
    return (struct span){texts->bytes.bytes + begin, texts->ends[number] - begin};
}

static uint32_t *look_up(const struct report_texts *texts, struct span text)
{
    size_t at = slot_of(texts, text);
    while (texts->slots[at] && !span_eq(report_texts_get(texts, texts->slots[at] - 1), text))
        at = (at + 1) & (texts->slots_cap - 1);
    return &texts->slots[at];
}

/* Half of the slots stay free. */
static bool grow_slots(struct report_texts *texts)
{
    size_t cap = texts->slots_cap ? texts->slots_cap * 2 : TEXTS_FIRST;
    uint32_t *slots = calloc(cap, sizeof *slots);
    if (!slots) return false;
    if (!texts->slots) rng_fill(texts->key, sizeof texts->key); /* strangers choose the texts */
    free(texts->slots);
    texts->slots = slots;
    texts->slots_cap = cap;
    for (uint32_t i = 0; i < texts->count; i++)
        *look_up(texts, report_texts_get(texts, i)) = i + 1;
    return true;
}

static bool append_text(struct report_texts *texts, struct span text)
{
    if (!grow_bytes(&texts->bytes, text.len + 1) ||
        !report_grow((void **)&texts->ends, &texts->ends_cap, texts->count + 1, TEXTS_FIRST,
                     sizeof *texts->ends))
        return false;
    if (text.len) memcpy(texts->bytes.bytes + texts->bytes.len, text.ptr, text.len);
    texts->bytes.len += text.len;
    texts->ends[texts->count++] = texts->bytes.len;
    return true;
}

enum err report_texts_find(struct report_texts *texts, struct span text, uint32_t *number,
                           bool *is_new)
{
    if (texts->count * 2 >= texts->slots_cap && !grow_slots(texts)) return ERR_NO_MEMORY;
    uint32_t *slot = look_up(texts, text);
    *is_new = *slot == 0;
    if (*is_new && !append_text(texts, text)) return ERR_NO_MEMORY;
    if (*is_new) *slot = (uint32_t)texts->count;
    *number = *slot - 1;
    return ERR_OK;
}

void report_texts_free(struct report_texts *texts)
{
    free(texts->bytes.bytes);
    free(texts->ends);
    free(texts->slots);
    *texts = (struct report_texts){.slots = NULL};
}
