#pragma once

#include "api/fields.h"
#include "api/request.h"

/* A request's body as one JSON object (contract section 2). */

/* Starts the list of problems; false, with one in it, when the body is not of type JSON, which is
 * then all there is to say. */
bool body_begin(struct problems *problems, struct api_request *request);

/* Reads the document; false, with a problem, when it is no object. Else `reader` is ready to read
 * fields of the root. */
bool body_read(struct fields_reader *reader, struct json_doc *doc, struct problems *problems,
               struct api_request *request);

/* application/json in any case, whatever its parameters. */
bool body_type_is_json(struct span content_type);

/* Reads the document of a body that came without HTTP as well. */
bool body_parse(struct json_doc *doc, struct span text, struct json_token *tokens, uint32_t cap,
                uint64_t seed, struct problems *problems);

/* What seed 002 answers: 400 when the body is malformed or lacks a field, else 422. */
int body_status_s2s(const struct problems *problems);
