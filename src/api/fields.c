#include "api/fields.h"

#include "base/assert.h"
#include "base/limits.h"
#include "event/datetime.h"
#include "event/text.h"

#define TIMESTAMP_MAX UINT64_C(99999999999)

static const char out_of_range[] = "Input is out of range";

void fields_problem(const struct fields_reader *reader, const struct field *field,
                    enum problem_type type, const char *msg)
{
    struct problem problem = {.type = type, .place = reader->place, .msg = msg};
    problem.place.name = field->name;
    problems_add(reader->problems, &problem);
}

static void too_long(const struct fields_reader *reader, const struct field *field,
                     size_t bytes_max)
{
    struct problem problem = {
        .type = PROBLEM_TOO_LONG, .place = reader->place, .bytes_max = (uint32_t)bytes_max};
    problem.place.name = field->name;
    problems_add(reader->problems, &problem);
}

bool fields_text(const struct fields_reader *reader, const struct field *field,
                 const struct field_value *value, size_t bytes_max)
{
    if (reader->doc->tokens[value->token].type != JSON_STRING) {
        fields_problem(reader, field, PROBLEM_STRING, NULL);
        return false;
    }
    if (value->text.len > bytes_max) {
        too_long(reader, field, bytes_max);
        return false;
    }
    return true;
}

void fields_comment(const struct fields_reader *reader, const struct field *field,
                    struct field_value *value)
{
    if (fields_text(reader, field, value, SIZE_MAX) &&
        json_characters(value->text) > LIMIT_COMMENT_CHARACTERS)
        fields_problem(reader, field, PROBLEM_TOO_LONG,
                       "String should have at most 1000 characters");
}

bool fields_literal(const struct fields_reader *reader, const struct field *field,
                    const struct field_value *value, struct span one, struct span other,
                    const char *msg)
{
    if (!fields_text(reader, field, value, SIZE_MAX)) return false;
    if (span_eq(value->text, one) || span_eq(value->text, other)) return true;
    fields_problem(reader, field, PROBLEM_LITERAL, msg);
    return false;
}

bool fields_integer(const struct fields_reader *reader, const struct field *field,
                    struct field_value *value, unsigned long long max, const char *msg)
{
    struct span digits = value->text;
    bool negative = digits.len > 0 && digits.ptr[0] == '-';
    if (negative) digits = (struct span){digits.ptr + 1, digits.len - 1};
    bool is_integer = reader->doc->tokens[value->token].type == JSON_NUMBER;
    for (size_t i = 0; is_integer && i < digits.len; i++)
        is_integer = digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
    unsigned long long magnitude;
    if (!is_integer) {
        fields_problem(reader, field, PROBLEM_INT, NULL);
        return false;
    }
    if (!span_to_u64(digits, negative ? INT64_MAX : max, &magnitude)) {
        fields_problem(reader, field, PROBLEM_VALUE, negative ? out_of_range : msg);
        return false;
    }
    value->number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static void read_amount(const struct fields_reader *reader, const struct field *field,
                        struct field_value *value)
{
    if (reader->doc->tokens[value->token].type != JSON_NUMBER)
        fields_problem(reader, field, PROBLEM_NUMBER, NULL);
    else if (!amount_parse(&value->amount, value->text))
        fields_problem(reader, field, PROBLEM_VALUE,
                       "Input should be below 10^15 in magnitude, with at most 24 fraction digits "
                       "and 40 characters");
}

static void read_datetime(const struct fields_reader *reader, const struct field *field,
                          struct field_value *value)
{
    if (reader->doc->tokens[value->token].type != JSON_STRING ||
        !datetime_parse_iso8601(&value->number, value->text))
        fields_problem(reader, field, PROBLEM_DATETIME, NULL);
}

static void read_currency(const struct fields_reader *reader, const struct field *field,
                          struct field_value *value)
{
    if (reader->doc->tokens[value->token].type != JSON_STRING) {
        fields_problem(reader, field, PROBLEM_STRING, NULL);
        return;
    }
    char *upper =
        text_is_currency(value->text) ? arena_alloc(reader->arena, value->text.len) : NULL;
    if (!upper) {
        fields_problem(reader, field, PROBLEM_CURRENCY, NULL);
        return;
    }
    for (size_t i = 0; i < value->text.len; i++)
        upper[i] = (char)(value->text.ptr[i] & ~0x20); /* ASCII letters, all of them */
    value->text.ptr = upper;
}

static void read_container(const struct fields_reader *reader, const struct field *field,
                           const struct field_value *value, enum json_type type)
{
    if (reader->doc->tokens[value->token].type != type)
        fields_problem(reader, field, type == JSON_OBJECT ? PROBLEM_OBJECT : PROBLEM_ARRAY, NULL);
}

/* True when there is something to look at. */
static bool load(const struct fields_reader *reader, struct field_value *value)
{
    const struct json_token *token = &reader->doc->tokens[value->token];
    if (value->token == 0 || token->type == JSON_NULL) {
        *value = (struct field_value){0};
        return false;
    }
    value->text = token->type == JSON_STRING ? json_string(reader->doc, value->token, reader->arena)
                                             : json_raw(reader->doc, value->token);
    if (!value->text.ptr) reader->problems->overflow = true;
    if (token->type != JSON_STRING || !text_is_blank(value->text)) return true;
    *value = (struct field_value){0};
    return false;
}

static void read_value(const struct fields_reader *reader, const struct field *field,
                       struct field_value *value)
{
    switch ((enum field_type)field->type) {
    case FIELD_TEXT:
        fields_text(reader, field, value, field->bytes_max);
        break;
    case FIELD_ID:
        fields_text(reader, field, value, LIMIT_ID);
        break;
    case FIELD_INTEGER:
        fields_integer(reader, field, value, INT64_MAX, out_of_range);
        break;
    case FIELD_TIMESTAMP:
        fields_integer(reader, field, value, TIMESTAMP_MAX,
                       "Input looks like milliseconds; it should be Unix seconds");
        break;
    case FIELD_AMOUNT:
        read_amount(reader, field, value);
        break;
    case FIELD_DATETIME:
        read_datetime(reader, field, value);
        break;
    case FIELD_CURRENCY:
        read_currency(reader, field, value);
        break;
    case FIELD_OBJECT:
        read_container(reader, field, value, JSON_OBJECT);
        break;
    case FIELD_ARRAY:
        read_container(reader, field, value, JSON_ARRAY);
        break;
    case FIELD_CHECKED:
        field->check(reader, field, value);
        break;
    case FIELD_IGNORED:
        break;
    }
}

static const struct field *search(const struct field *at, const struct field *end, struct span name)
{
    for (; at < end; at++)
        if (at->name.len == name.len && span_eq(at->name, name)) return at;
    return NULL;
}

const struct field *fields_find(const struct fields *fields, const struct json_doc *doc,
                                uint32_t key, struct arena *arena, uint32_t *next)
{
    size_t used = arena->used;
    struct span name = json_string(doc, key, arena);
    const struct field *rows = fields->rows;
    const struct field *found = search(rows + *next, rows + fields->count, name);
    if (!found) found = search(rows, rows + *next, name);
    if (found) *next = (uint32_t)(found - rows) + 1;
    arena->used = used;
    return found;
}

uint32_t fields_read(const struct fields_reader *reader, const struct fields *fields,
                     uint32_t object, struct field_value *values)
{
    const struct json_doc *doc = reader->doc;
    ASSERT(doc->tokens[object].type == JSON_OBJECT && fields->count <= FIELDS_MAX);
    uint32_t unlisted = 0, next = 0;
    for (uint32_t key = object + 1; key < doc->tokens[object].end; key = doc->tokens[key + 1].end) {
        const struct field *field = fields_find(fields, doc, key, reader->arena, &next);
        if (field) values[field->slot].token = key + 1;
        doc->tokens[key].mark = !field;
        unlisted += !field;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->rows[i];
        struct field_value *value = &values[field->slot];
        if (load(reader, value))
            read_value(reader, field, value);
        else if (field->required)
            fields_problem(reader, field, PROBLEM_MISSING, NULL);
    }
    return unlisted;
}
