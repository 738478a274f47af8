#pragma once

#include "admin/admin.h"
#include "base/arena.h"
#include "json/json.h"

#include <stdbool.h>

/* Shared by the files of this module, by nobody else: one command being executed. */

struct admin_request {
    struct admin *admin;
    struct json_doc doc;
    struct arena arena; /* for unescaped texts */
};

/* Each runs one command and appends its whole answer. */
void admin_key_create(struct admin_request *request, struct writer *answer);
void admin_key_list(struct admin_request *request, struct writer *answer);
void admin_key_revoke(struct admin_request *request, struct writer *answer);
void admin_token_key_list(struct admin_request *request, struct writer *answer);
void admin_token_key_rotate(struct admin_request *request, struct writer *answer);
void admin_token_key_retire(struct admin_request *request, struct writer *answer);
void admin_token_key_export(struct admin_request *request, struct writer *answer);
void admin_poll_put(struct admin_request *request, struct writer *answer);
void admin_poll_list(struct admin_request *request, struct writer *answer);
void admin_poll_withdraw(struct admin_request *request, struct writer *answer);
void admin_mint(struct admin_request *request, struct writer *answer);
void admin_tail(struct admin_request *request, struct writer *answer);

void admin_import(struct admin_request *request, struct writer *answer);
void admin_erase(struct admin_request *request, struct writer *answer);

/* A poll as `poll put` takes it. Why it is none; NULL: it is one. */
const char *admin_read_poll(struct admin_request *request, uint32_t object, struct poll *poll);

/* A string member of the command; absent when there is none. False: it is there and no string. */
bool admin_text(struct admin_request *request, struct span name, struct span *out);

/* {"ok":false,"error":"..."}: one sentence without a full stop that says what to do. */
void admin_fail(struct writer *answer, const char *sentence);

/* Exactly `size` bytes from lower-case hex digits. */
bool admin_hex(struct span text, uint8_t *bytes, size_t size);

/* The sentence for an outcome that no command has its own for: the store could not write. */
void admin_fail_unavailable(struct writer *answer);

/* `"name":"2026-11-21T06:00:00.000Z"` */
void admin_write_time(struct writer *answer, struct span name, int64_t ms);

/* The members of a key in a list of keys, without its brackets. */
void admin_write_key(struct writer *answer, const struct api_key *key);
