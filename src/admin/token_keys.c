#include "admin/command.h"
#include "base/clock.h"
#include "token/hash.h"
#include "json/write.h"

#include <string.h>

/* token_key_list, token_key_rotate, token_key_retire, token_key_export. */

/* Stands where a kid does: the key of `thrad_sig`, for those who check it themselves. */
#define CLICK_SIGNING SPAN("click-signing")

static struct span kid_of(const struct token_key *key)
{
    return (struct span){key->kid, sizeof key->kid};
}

static void write_token_key(struct writer *answer, const struct token_key *key, bool newest)
{
    json_write_comma(answer);
    writer_char(answer, '{');
    json_write_text_member(answer, SPAN("kid"), kid_of(key));
    admin_write_time(answer, SPAN("created_at"), key->created_at_ms);
    json_write_comma(answer);
    json_write_key(answer, SPAN("newest"));
    writer_put(answer, newest ? SPAN("true") : SPAN("false"));
    writer_char(answer, '}');
}

void admin_token_key_list(struct admin_request *request, struct writer *answer)
{
    struct token_key keys[TOKEN_KEYS_MAX];
    uint32_t count = keyring_token_keys(ledger_keyring(request->admin->ledger), keys);
    writer_lit(answer, "{\"ok\":true,\"token_keys\":[");
    for (uint32_t i = 0; i < count; i++)
        write_token_key(answer, &keys[i], i + 1 == count);
    writer_lit(answer, "]}");
    hash_wipe(keys, sizeof keys);
}

static void answer_kid(struct writer *answer, const struct token_key *key)
{
    writer_lit(answer, "{\"ok\":true");
    json_write_text_member(answer, SPAN("kid"), kid_of(key));
    writer_char(answer, '}');
}

void admin_token_key_rotate(struct admin_request *request, struct writer *answer)
{
    int64_t now_ms = clock_wall_ms();
    struct op op = {.kind = OP_TOKEN_KEY_ROTATE, .received_at_ms = now_ms};
    token_key_generate(&op.token_key, now_ms);
    ledger_call(request->admin->ledger, &op);
    if (op.outcome == OUTCOME_RECORDED)
        answer_kid(answer, &op.token_key);
    else if (op.outcome == OUTCOME_LIMITED)
        admin_fail(answer, "there are 64 token keys already: retire one first");
    else
        admin_fail_unavailable(answer);
    hash_wipe(&op, sizeof op);
}

/* The member "kid"; answered when there is none of the right length. */
static bool read_kid(struct admin_request *request, struct span *kid, struct writer *answer)
{
    if (admin_text(request, SPAN("kid"), kid) && kid->ptr) return true;
    admin_fail(answer, "kid is missing: token-key list shows them");
    return false;
}

static void fail_unknown(struct writer *answer)
{
    admin_fail(answer, "no token key has this kid: token-key list shows them");
}

void admin_token_key_retire(struct admin_request *request, struct writer *answer)
{
    struct op op = {.kind = OP_TOKEN_KEY_RETIRE, .received_at_ms = clock_wall_ms()};
    struct span kid;
    if (!read_kid(request, &kid, answer)) return;
    if (kid.len != sizeof op.token_key.kid) {
        fail_unknown(answer);
        return;
    }
    memcpy(op.token_key.kid, kid.ptr, kid.len);
    ledger_call(request->admin->ledger, &op);
    if (op.outcome == OUTCOME_RECORDED)
        answer_kid(answer, &op.token_key);
    else if (op.outcome == OUTCOME_NOT_FOUND)
        fail_unknown(answer);
    else if (op.outcome == OUTCOME_CONFLICT)
        admin_fail(answer, "this token key is the newest, which mints: rotate first");
    else
        admin_fail_unavailable(answer);
}

/* PASERK, which says what the key is for (token/paseto.h). */
static bool export_token_key(struct keyring *keyring, struct span kid, struct writer *answer)
{
    struct token_key key;
    if (!keyring_token_key(keyring, kid, &key)) return false;
    writer_lit(answer, "{\"ok\":true,\"key\":\"");
    paseto_key_write(answer, &key.key);
    writer_lit(answer, "\"}");
    hash_wipe(&key, sizeof key);
    return true;
}

void admin_token_key_export(struct admin_request *request, struct writer *answer)
{
    struct keyring *keyring = ledger_keyring(request->admin->ledger);
    struct span kid;
    if (!read_kid(request, &kid, answer)) return;
    if (span_eq(kid, CLICK_SIGNING)) {
        struct span key = keyring_click_signing_key(keyring);
        writer_lit(answer, "{\"ok\":true,\"key\":\"");
        writer_hex(answer, key.ptr, key.len);
        writer_lit(answer, "\"}");
    } else if (!export_token_key(keyring, kid, answer)) {
        fail_unknown(answer);
    }
}
