#include "api/problems.h"

#include "json/write.h"

struct type_row {
    const char *name, *msg;
};

/* clang-format off */
static const struct type_row types[] = {
    [PROBLEM_MISSING]  = {"missing",          "Field required"},
    [PROBLEM_JSON]     = {"json_invalid",     "JSON decode error"},
    [PROBLEM_STRING]   = {"string_type",      "Input should be a valid string"},
    [PROBLEM_INT]      = {"int_type",         "Input should be a valid integer"},
    [PROBLEM_NUMBER]   = {"number_type",      "Input should be a valid number"},
    [PROBLEM_OBJECT]   = {"object_type",      "Input should be a valid object"},
    [PROBLEM_ARRAY]    = {"array_type",       "Input should be a valid array"},
    [PROBLEM_TOO_LONG] = {"string_too_long",  "String should have at most "},
    [PROBLEM_TOO_SHORT] = {"string_too_short", "String should have at least 1 character"},
    [PROBLEM_LITERAL]  = {"literal_error",    "Input should be one of the listed values"},
    [PROBLEM_DATETIME] = {"datetime_invalid", "Input should be a valid ISO 8601 datetime"},
    [PROBLEM_CURRENCY] = {"currency_invalid", "Input should be an ISO 4217 currency code"},
    [PROBLEM_VALUE]    = {"value_error",      "Value error"},
};
/* clang-format on */

_Static_assert(sizeof types / sizeof types[0] == PROBLEM_COUNT, "a row per type");

const char *problem_type_name(enum problem_type type)
{
    return types[type].name;
}

void problems_init(struct problems *problems, struct arena *arena)
{
    *problems = (struct problems){.arena = arena};
    problems->last = &problems->first;
}

void problems_add(struct problems *problems, const struct problem *problem)
{
    problems->count++;
    problems->types |= 1U << problem->type;
    struct problem *kept = arena_alloc(problems->arena, sizeof *kept);
    if (!kept) {
        problems->overflow = true;
        return;
    }
    *kept = *problem;
    kept->next = NULL;
    *problems->last = kept;
    problems->last = &kept->next;
}

static void write_place(struct writer *out, const struct place *place)
{
    writer_char(out, '[');
    json_write_string(out, place->part);
    if (place->list.ptr) {
        writer_char(out, ',');
        json_write_string(out, place->list);
        writer_char(out, ',');
        writer_u64(out, place->index);
    }
    if (place->name.ptr) {
        writer_char(out, ',');
        json_write_string(out, place->name);
    }
    writer_char(out, ']');
}

static void write_msg(struct writer *out, const struct problem *problem)
{
    writer_char(out, '"');
    writer_put(out, span_of(problem->msg ? problem->msg : types[problem->type].msg));
    if (problem->type == PROBLEM_TOO_LONG && !problem->msg) {
        writer_u64(out, problem->bytes_max);
        writer_lit(out, " bytes");
    }
    writer_char(out, '"');
}

static void write_detail(struct writer *out, const struct problem *problem)
{
    writer_lit(out, "{\"type\":\"");
    writer_put(out, span_of(types[problem->type].name));
    writer_lit(out, "\",\"loc\":");
    write_place(out, &problem->place);
    writer_lit(out, ",\"msg\":");
    write_msg(out, problem);
    writer_char(out, '}');
}

static void write_field(struct writer *out, const struct problem *problem)
{
    writer_lit(out, "{\"field\":");
    json_write_string(out, problem->place.name.ptr ? problem->place.name : problem->place.part);
    writer_lit(out, ",\"message\":");
    write_msg(out, problem);
    writer_char(out, '}');
}

static void write_all(struct writer *out, const struct problems *problems, enum dialect dialect)
{
    bool is_flat = dialect == DIALECT_AD_FEEDBACK;
    writer_put(out, is_flat ? SPAN("{\"error\":\"validation_error\",\"message\":"
                                   "\"Request is not valid\",\"fields\":[")
                            : SPAN("{\"detail\":["));
    for (const struct problem *problem = problems->first; problem; problem = problem->next) {
        if (problem != problems->first) writer_char(out, ',');
        if (is_flat)
            write_field(out, problem);
        else
            write_detail(out, problem);
    }
    writer_lit(out, "]}");
}

struct span problems_text(const struct problems *problems, enum dialect dialect)
{
    struct arena *arena = problems->arena;
    struct writer out;
    writer_init(&out, arena->base + arena->used, arena_room(arena));
    write_all(&out, problems, dialect);
    if (out.overflow || problems->overflow) return SPAN_NONE;
    arena_alloc(arena, out.len);
    return writer_text(&out);
}
