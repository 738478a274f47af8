#include "cli/json_file.h"

#include "base/rng.h"
#include "cli/say.h"
#include "json/json.h"

#include <stdlib.h>

bool json_file_check(const char *command, struct span text)
{
    struct json_doc doc;
    uint64_t seed;
    uint32_t cap = (uint32_t)(text.len / 2 + 1);
    struct json_token *tokens = malloc(cap * sizeof *tokens);
    rng_fill(&seed, sizeof seed);
    enum json_error error = tokens ? json_parse(&doc, text, tokens, cap, seed) : JSON_TOO_LARGE;
    free(tokens);
    if (error)
        say("what adtally %s was given is no JSON: %s; adtally help %s shows some", command,
            json_error_text(error), command);
    return !error;
}
