#include "plan.h"

#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_CLICK, MARK_BID, MARK_K, MARK_N };

static const struct {
    const char *text;
    size_t width;
} marks[] = {
    [MARK_CLICK] = {"{click}", UUID_TEXT_LEN},
    [MARK_BID] = {"{bid}", UUID_TEXT_LEN},
    [MARK_K] = {"{k}", NAMES_NUMBER_LEN},
    [MARK_N] = {"{n}", NAMES_NUMBER_LEN},
};

enum { MARKS_COUNT = sizeof marks / sizeof marks[0] };

/* Prime, so that it visits all of any smaller number of keys: each once, far from the last. */
static const uint64_t STRIDE = 2654435761;

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t cap = 0;
    if (!file) return NULL;
    if (getdelim(&text, &cap, '\0', file) < 0) text = NULL;
    fclose(file);
    return text;
}

/* -- templates ----------------------------------------------------------------------------- */

static int mark_at(const char *text)
{
    for (int i = 0; i < MARKS_COUNT; i++) {
        if (strncmp(text, marks[i].text, strlen(marks[i].text)) == 0) return i;
    }
    return -1;
}

/* The template with room where its marks were. */
static bool read_template(struct plan_source *source, const char *text)
{
    size_t len = 0;
    source->text = calloc(1, PLAN_REQUEST_MAX);
    if (!source->text) return false;
    while (*text && len + UUID_TEXT_LEN < PLAN_REQUEST_MAX) {
        int mark = mark_at(text);
        if (mark < 0) {
            source->text[len++] = *text++;
            continue;
        }
        if (source->slots_count == PLAN_SLOTS_MAX) return false;
        source->slots[source->slots_count++] = (struct plan_slot){len, mark};
        len += marks[mark].width;
        text += strlen(marks[mark].text);
    }
    source->text_len = len;
    return !*text && len > 0;
}

static void fill_slot(const struct plan *plan, char *out, int mark, uint64_t k, uint64_t n)
{
    struct uuid id;
    switch (mark) {
    case MARK_K:
        names_number(out, k);
        return;
    case MARK_N:
        names_number(out, n);
        return;
    default:
        id = names_uuid(mark == MARK_BID ? NAMES_BID : NAMES_CLICK, k, plan->epoch_ms);
        uuid_write(out, &id);
    }
}

static size_t next_of_template(struct plan *plan, struct plan_source *source,
                               char out[PLAN_REQUEST_MAX])
{
    if (source->draw == PLAN_EACH && source->next >= source->end) return 0;
    uint64_t k = source->draw == PLAN_EACH ? source->next++ * STRIDE : names_random(&plan->random);
    uint64_t n = plan->first++;
    memcpy(out, source->text, source->text_len);
    for (size_t i = 0; i < source->slots_count; i++)
        fill_slot(plan, out + source->slots[i].at, source->slots[i].mark, k % plan->keys, n);
    return source->text_len;
}

/* -- lines --------------------------------------------------------------------------------- */

/* Each line becomes a string of its own, in place. */
static bool read_lines(struct plan_source *source, char *text)
{
    size_t cap = 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (source->lines_count == cap) {
            cap = cap ? cap * 2 : 1024;
            const char **more = reallocarray(source->lines, cap, sizeof *more);
            if (!more) return false;
            source->lines = more;
        }
        source->lines[source->lines_count++] = line;
    }
    return source->end <= source->lines_count;
}

static size_t next_of_lines(struct plan_source *source, char out[PLAN_REQUEST_MAX])
{
    if (source->next >= source->end) return 0;
    const char *path = source->lines[source->next++];
    int path_len = (int)strcspn(path, "\t");
    const char *body = path[path_len] ? path + path_len + 1 : NULL;
    int len = body ? snprintf(out, PLAN_REQUEST_MAX,
                              "POST %.*s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                              path_len, path, strlen(body), body)
                   : snprintf(out, PLAN_REQUEST_MAX, "GET %.*s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                              path_len, path);
    return len > 0 && len < PLAN_REQUEST_MAX ? (size_t)len : 0;
}

/* -- the plan ------------------------------------------------------------------------------ */

/* A number and the colon behind it; *at moves past both. */
static bool take_number(const char **at, uint64_t *out)
{
    char *end;
    *out = strtoul(*at, &end, 10);
    bool ok = end > *at && *end == ':';
    *at = ok ? end + 1 : end;
    return ok;
}

static bool take_draw(const char **at, enum plan_draw *out)
{
    static const char *const names[] = {"random:", "each:", "lines:"};
    for (int i = PLAN_RANDOM; i <= PLAN_LINES; i++) {
        *out = (enum plan_draw)i;
        if (strncmp(*at, names[i], strlen(names[i])) != 0) continue;
        *at += strlen(names[i]);
        return true;
    }
    return false;
}

static bool read_source(const struct plan *plan, struct plan_source *source, const char *path)
{
    char *text = read_file(path);
    if (!text) return false;
    if (source->draw == PLAN_LINES) return read_lines(source, text);
    bool ok = plan->keys > 0 && source->end <= plan->keys && read_template(source, text);
    free(text);
    return ok;
}

bool plan_add(struct plan *plan, const char *spec)
{
    if (plan->sources_count == PLAN_SOURCES_MAX) return false;
    struct plan_source *source = &plan->sources[plan->sources_count++];
    bool ok = take_number(&spec, &source->weight) && take_draw(&spec, &source->draw) &&
              take_number(&spec, &source->next) && take_number(&spec, &source->end);
    plan->weights += source->weight;
    return ok && source->weight > 0 && read_source(plan, source, spec);
}

size_t plan_next(struct plan *plan, char out[PLAN_REQUEST_MAX])
{
    struct plan_source *source = plan->sources;
    uint64_t at = plan->sources_count > 1 ? names_random(&plan->random) % plan->weights : 0;
    while (at >= source->weight)
        at -= source++->weight;
    return source->draw == PLAN_LINES ? next_of_lines(source, out)
                                      : next_of_template(plan, source, out);
}
