#include "event/patterns.h"

#include "base/assert.h"

#include <string.h>

/* States are named by where their rows begin. The root is 0, which also stands for "not there yet"
 * while the tree of the patterns grows. FOUND is left by no byte, so that a search asks only at its
 * end. What begins and ends a text is a byte of its own: anchors cost nothing. */
enum { COLUMN_OTHER, COLUMN_BEGIN, COLUMN_END, COLUMNS_FIXED };

struct pattern {
    struct span characters;
    bool at_begin, at_end;
};

static uint8_t lower(char byte)
{
    uint8_t value = (uint8_t)byte;
    return value >= 'A' && value <= 'Z' ? value | 0x20 : value;
}

/* False: the line has no pattern. */
static bool read_line(struct pattern *out, struct span line)
{
    struct span rest = span_trim(line);
    *out = (struct pattern){0};
    if (rest.len == 0 || rest.ptr[0] == '#') return false;
    out->at_begin = rest.ptr[0] == '^';
    if (out->at_begin) rest = (struct span){rest.ptr + 1, rest.len - 1};
    out->at_end = rest.len > 0 && rest.ptr[rest.len - 1] == '$';
    if (out->at_end) rest.len--;
    out->characters = rest;
    return true;
}

static bool is_usable(const struct pattern *pattern)
{
    struct span text = pattern->characters;
    if (text.len < PATTERN_CHARACTERS_MIN || text.len > PATTERN_CHARACTERS_MAX) return false;
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.ptr[i] < ' ' || text.ptr[i] == 0x7f) return false;
    return true;
}

static uint32_t found(const struct patterns *patterns)
{
    return patterns->width;
}

static void note_characters(struct patterns *patterns, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t *column = &patterns->columns[lower(text.ptr[i])];
        if (*column == COLUMN_OTHER) *column = (uint8_t)patterns->width++;
    }
}

static void fold_cases(struct patterns *patterns)
{
    for (int letter = 'a'; letter <= 'z'; letter++)
        patterns->columns[letter - 0x20] = patterns->columns[letter];
}

size_t patterns_measure(struct patterns *patterns, struct span text, uint32_t *line)
{
    struct pattern pattern;
    *patterns = (struct patterns){.width = COLUMNS_FIXED, .states_max = 2};
    for (*line = 1; text.ptr; ++*line) {
        if (!read_line(&pattern, span_split(&text, '\n'))) continue;
        if (!is_usable(&pattern)) return 0;
        note_characters(patterns, pattern.characters);
        patterns->states_max += (uint32_t)pattern.characters.len + 2;
        patterns->count++;
    }
    fold_cases(patterns);
    /* The table, and for each state where a search goes on that fails there, and a queue. */
    return (size_t)patterns->states_max * (patterns->width + 2) * sizeof(uint32_t);
}

struct builder {
    const struct patterns *patterns;
    uint32_t *table;
    uint32_t *fails, *queue; /* by the number of the state */
    uint32_t next;           /* the row that is free */
};

static uint32_t *fail_of(struct builder *builder, uint32_t state)
{
    return &builder->fails[state / builder->patterns->width];
}

/* The place behind the state where the byte of that column leads; a pattern ends where another
 * begins with it. */
static uint32_t step(struct builder *builder, uint32_t state, uint8_t column, bool is_last)
{
    uint32_t *to = &builder->table[state + column];
    if (is_last)
        *to = found(builder->patterns);
    else if (*to == 0) {
        *to = builder->next;
        builder->next += builder->patterns->width;
    }
    return *to;
}

static void add(struct builder *builder, const struct pattern *pattern)
{
    const struct patterns *patterns = builder->patterns;
    struct span text = pattern->characters;
    uint32_t state = pattern->at_begin ? step(builder, 0, COLUMN_BEGIN, false) : 0;
    for (size_t i = 0; i < text.len && state != found(patterns); i++) {
        bool is_last = i + 1 == text.len && !pattern->at_end;
        state = step(builder, state, patterns->columns[lower(text.ptr[i])], is_last);
    }
    if (pattern->at_end && state != found(patterns)) step(builder, state, COLUMN_END, true);
}

/* Fills in where a search goes on from `state`, whose own fallback is complete; new states go to
 * the end of the queue. */
static uint32_t complete(struct builder *builder, uint32_t state, uint32_t queued)
{
    const struct patterns *patterns = builder->patterns;
    const uint32_t *fallback = &builder->table[*fail_of(builder, state)];
    for (uint32_t column = 0; column < patterns->width; column++) {
        uint32_t *to = &builder->table[state + column];
        uint32_t other = state == 0 ? 0 : fallback[column];
        if (*to == 0 || other == found(patterns)) {
            *to = other;
        } else if (*to != found(patterns)) {
            *fail_of(builder, *to) = other;
            builder->queue[queued++] = *to;
        }
    }
    return queued;
}

void patterns_build(struct patterns *patterns, struct span text, void *memory)
{
    struct pattern pattern;
    uint32_t states = patterns->states_max;
    size_t cells = (size_t)states * (patterns->width + 2);
    memset(memory, 0, cells * sizeof(uint32_t));
    struct builder builder = {.patterns = patterns, .table = memory};
    builder.fails = builder.table + (size_t)states * patterns->width;
    builder.queue = builder.fails + states;
    builder.next = 2 * patterns->width;
    while (text.ptr)
        if (read_line(&pattern, span_split(&text, '\n'))) add(&builder, &pattern);
    ASSERT(patterns->width >= COLUMNS_FIXED && builder.next <= states * patterns->width);
    for (uint32_t column = 0; column < patterns->width; column++)
        builder.table[found(patterns) + column] = found(patterns);
    for (uint32_t done = 0, queued = 1; done < queued; done++)
        queued = complete(&builder, builder.queue[done], queued);
    patterns->table = builder.table;
    patterns->start = builder.table[COLUMN_BEGIN];
}

bool patterns_match(const struct patterns *patterns, struct span text)
{
    const uint32_t *table = patterns->table;
    const uint8_t *at = (const uint8_t *)text.ptr, *end = at + text.len,
                  *columns = patterns->columns;
    if (!table) return false;
    uint32_t state = patterns->start;
    for (; end - at >= 4; at += 4) { /* counting to one costs as much as a step */
        state = table[state + columns[at[0]]];
        state = table[state + columns[at[1]]];
        state = table[state + columns[at[2]]];
        state = table[state + columns[at[3]]];
    }
    for (; at < end; at++)
        state = table[state + columns[*at]];
    return table[state + COLUMN_END] == found(patterns);
}
