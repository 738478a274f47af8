#pragma once

#include "base/writer.h"
#include "json/json.h"

/* Writing JSON text. `text` must be well-formed UTF-8; quotes, backslashes and control characters
 * are escaped, everything else is written as it is. */
void json_write_string(struct writer *out, struct span text); /* with quotes */

/* `"name":` */
void json_write_key(struct writer *out, struct span name);

/* Writes `,` unless nothing or an opening bracket stands before. */
void json_write_comma(struct writer *out);

/* `"name":"text"` after a comma where one is needed; nothing at all when text is absent. */
void json_write_text_member(struct writer *out, struct span name, struct span text);
void json_write_number_member(struct writer *out, struct span name, int64_t number);
