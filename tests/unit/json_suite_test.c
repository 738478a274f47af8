/* JSONTestSuite (Nicolas Seriot, "Parsing JSON is a Minefield"), a case per file. */

#include "unit.h"

#include "json_suite_files.h"

#include "json/json.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DOCUMENT_MAX = 1 << 20, FILES_COUNT = sizeof json_suite_files / sizeof *json_suite_files };

/* Where contract section 2 decides instead of the suite: docs/decisions/0002-json-strictness.md */
struct choice {
    const char *name;
    enum json_error expected;
};

/* The suite accepts these; the contract asks for stricter. */
static const struct choice exceptions[] = {
    {"y_object_duplicated_key.json", JSON_DUPLICATE_KEY},
    {"y_object_duplicated_key_and_value.json", JSON_DUPLICATE_KEY},
    {"y_object_escaped_null_in_key.json", JSON_NUL},
    {"y_string_null_escape.json", JSON_NUL},
};

/* The suite lets the implementation choose. */
static const struct choice choices[] = {
    {"i_number_double_huge_neg_exp.json", JSON_OK},
    {"i_number_huge_exp.json", JSON_OK},
    {"i_number_neg_int_huge_exp.json", JSON_OK},
    {"i_number_pos_double_huge_exp.json", JSON_OK},
    {"i_number_real_neg_overflow.json", JSON_OK},
    {"i_number_real_pos_overflow.json", JSON_OK},
    {"i_number_real_underflow.json", JSON_OK},
    {"i_number_too_big_neg_int.json", JSON_OK},
    {"i_number_too_big_pos_int.json", JSON_OK},
    {"i_number_very_big_negative_int.json", JSON_OK},
    {"i_object_key_lone_2nd_surrogate.json", JSON_BAD_SURROGATE},
    {"i_string_1st_surrogate_but_2nd_missing.json", JSON_BAD_SURROGATE},
    {"i_string_1st_valid_surrogate_2nd_invalid.json", JSON_BAD_SURROGATE},
    {"i_string_UTF-16LE_with_BOM.json", JSON_SYNTAX},
    {"i_string_UTF-8_invalid_sequence.json", JSON_BAD_UTF8},
    {"i_string_UTF8_surrogate_U+D800.json", JSON_BAD_UTF8},
    {"i_string_incomplete_surrogate_and_escape_valid.json", JSON_BAD_SURROGATE},
    {"i_string_incomplete_surrogate_pair.json", JSON_BAD_SURROGATE},
    {"i_string_incomplete_surrogates_escape_valid.json", JSON_BAD_SURROGATE},
    {"i_string_invalid_lonely_surrogate.json", JSON_BAD_SURROGATE},
    {"i_string_invalid_surrogate.json", JSON_BAD_SURROGATE},
    {"i_string_invalid_utf-8.json", JSON_BAD_UTF8},
    {"i_string_inverted_surrogates_U+1D11E.json", JSON_BAD_SURROGATE},
    {"i_string_iso_latin_1.json", JSON_BAD_UTF8},
    {"i_string_lone_second_surrogate.json", JSON_BAD_SURROGATE},
    {"i_string_lone_utf8_continuation_byte.json", JSON_BAD_UTF8},
    {"i_string_not_in_unicode_range.json", JSON_BAD_UTF8},
    {"i_string_overlong_sequence_2_bytes.json", JSON_BAD_UTF8},
    {"i_string_overlong_sequence_6_bytes.json", JSON_BAD_UTF8},
    {"i_string_overlong_sequence_6_bytes_null.json", JSON_BAD_UTF8},
    {"i_string_truncated-utf-8.json", JSON_BAD_UTF8},
    {"i_string_utf16BE_no_BOM.json", JSON_SYNTAX},
    {"i_string_utf16LE_no_BOM.json", JSON_SYNTAX},
    {"i_structure_500_nested_arrays.json", JSON_TOO_DEEP},
    {"i_structure_UTF-8_BOM_empty_object.json", JSON_SYNTAX},
};

static struct json_token tokens[DOCUMENT_MAX / 2 + 1];
static char document[DOCUMENT_MAX];

static const struct choice *find_choice(const struct choice *from, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(from[i].name, name) == 0) return &from[i];
    return NULL;
}

static const struct choice *choice_of(const char *name)
{
    const struct choice *choice =
        find_choice(exceptions, sizeof exceptions / sizeof *exceptions, name);
    if (choice) return choice;
    return find_choice(choices, sizeof choices / sizeof *choices, name);
}

static const char *suite_path(void)
{
    static char path[4096];
    const char *vectors = getenv("ADTALLY_VECTORS");
    snprintf(path, sizeof path, "%s/JSONTestSuite/test_parsing", vectors ? vectors : "");
    return path;
}

static struct span read_document(const char *name)
{
    char path[4096 + 256];
    snprintf(path, sizeof path, "%s/%s", suite_path(), name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(document, 1, sizeof document, file);
    fclose(file);
    assert_true(len < sizeof document);
    return (struct span){document, len};
}

static void verdict_is_right(void **state)
{
    const char *name = *state;
    struct span text = read_document(name);
    struct json_doc doc;
    enum json_error error = json_parse(&doc, text, tokens, (uint32_t)(text.len / 2 + 1), 1);
    const struct choice *choice = choice_of(name);
    if (choice)
        assert_string_equal(json_error_text(error), json_error_text(choice->expected));
    else if (name[0] == 'y')
        assert_string_equal(json_error_text(error), json_error_text(JSON_OK));
    else
        assert_int_not_equal(error, JSON_OK);
    assert_true(choice || name[0] != 'i');
}

static int compare_names(const void *name, const void *listed)
{
    return strcmp(name, *(const char *const *)listed);
}

static void every_file_of_the_suite_is_listed(void **state)
{
    (void)state;
    DIR *folder = opendir(suite_path());
    assert_non_null(folder);
    size_t found = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        found++;
        const char *listed = bsearch(entry->d_name, json_suite_files, FILES_COUNT,
                                     sizeof *json_suite_files, compare_names);
        if (!listed) print_error("not listed: %s\n", entry->d_name);
        assert_non_null(listed);
    }
    closedir(folder);
    assert_int_equal(found, FILES_COUNT);
}

/* cmocka's own skip() prints "not ok", which Meson takes for a failure. */
static int skip_all(void)
{
    printf("1..%d\n", FILES_COUNT);
    for (size_t i = 0; i < FILES_COUNT; i++)
        printf("ok %zu - %s # SKIP no such folder: $ADTALLY_VECTORS/JSONTestSuite\n", i + 1,
               json_suite_files[i]);
    return 0;
}

int main(void)
{
    if (access(suite_path(), R_OK | X_OK) != 0) return skip_all();
    UNIT_ADD(every_file_of_the_suite_is_listed);
    for (size_t i = 0; i < FILES_COUNT; i++)
        unit_add(json_suite_files[i], verdict_is_right, (void *)(uintptr_t)json_suite_files[i]);
    return UNIT_RUN_ADDED("json_suite");
}
