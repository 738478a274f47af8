#include "admin/key_texts.h"

#include "base/limits.h"
#include "event/text.h"

#include <stdio.h>

struct rule {
    struct span name;
    unsigned needed_by, allowed_for; /* bits 1 << enum apikey_class */
};

enum {
    PARTNER = 1 << APIKEY_PARTNER,
    PUBLISHER = 1 << APIKEY_PUBLISHER,
    EVERY = (1 << APIKEY_COUNT) - 1,
};

/* clang-format off */
static const struct rule rules[KEY_TEXTS_COUNT] = {
    [KEY_LABEL]         = {SPAN_INIT("label"),         EVERY,     EVERY},
    [KEY_PARTNER_ID]    = {SPAN_INIT("partner_id"),    PARTNER,   PARTNER},
    [KEY_PUBLISHER_ID]  = {SPAN_INIT("publisher_id"),  PUBLISHER, PUBLISHER},
    [KEY_ADVERTISER_ID] = {SPAN_INIT("advertiser_id"), 0,         PARTNER},
    [KEY_TAG_ID]        = {SPAN_INIT("tag_id"),        0,         PARTNER},
};
/* clang-format on */

struct span key_text_name(enum key_text text)
{
    return rules[text].name;
}

void key_text_flag(char out[KEY_FLAG_MAX], enum key_text text)
{
    snprintf(out, KEY_FLAG_MAX, "--%.*s", SPAN_FMT(rules[text].name));
    for (char *at = out; *at; at++)
        if (*at == '_') *at = '-';
}

static bool has_controls(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) return true;
    return false;
}

/* What is wrong with one text; NULL when nothing is. */
static const char *find_problem(const struct rule *rule, enum apikey_class cls, struct span text)
{
    unsigned bit = 1U << cls;
    if (!text.ptr) return rule->needed_by & bit ? "is missing: keys of this class need it" : NULL;
    if (!(rule->allowed_for & bit)) return "does not belong to keys of this class: leave it out";
    if (text_is_blank(text)) return "is blank";
    if (text.len > LIMIT_ID) return "is longer than 256 bytes";
    if (has_controls(text)) return "has a control character in it";
    return NULL;
}

bool key_texts_check(char problem[KEY_PROBLEM_MAX], enum apikey_class cls,
                     const struct span texts[KEY_TEXTS_COUNT], bool as_flags)
{
    for (enum key_text i = 0; i < KEY_TEXTS_COUNT; i++) {
        const char *what = find_problem(&rules[i], cls, texts[i]);
        if (!what) continue;
        char name[KEY_FLAG_MAX];
        snprintf(name, sizeof name, "%.*s", SPAN_FMT(rules[i].name));
        if (as_flags) key_text_flag(name, i);
        snprintf(problem, KEY_PROBLEM_MAX, "%s %s", name, what);
        return false;
    }
    return true;
}
