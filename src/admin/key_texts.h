#pragma once

#include "base/span.h"
#include "token/apikey.h"

#include <stdbool.h>

/* What an API key is bound to, besides its class (contract section 7): one table for the command
 * line, which names them as flags, and for the admin commands. */

enum key_text {
    KEY_LABEL,
    KEY_PARTNER_ID,
    KEY_PUBLISHER_ID,
    KEY_ADVERTISER_ID,
    KEY_TAG_ID,
    KEY_TEXTS_COUNT,
};

enum { KEY_PROBLEM_MAX = 160, KEY_FLAG_MAX = 32 };

struct span key_text_name(enum key_text text); /* "partner_id" */

/* "--partner-id", NUL-terminated. */
void key_text_flag(char out[KEY_FLAG_MAX], enum key_text text);

/* Whether a key of this class may be made with these texts (absent: not given): what it needs is
 * there and not blank, nothing else is, all are 1..LIMIT_ID bytes without control characters. When
 * not, `problem` is a sentence without a full stop that names the text, as a flag if `as_flags`. */
bool key_texts_check(char problem[KEY_PROBLEM_MAX], enum apikey_class cls,
                     const struct span texts[KEY_TEXTS_COUNT], bool as_flags);
