#include "admin/command.h"
#include "admin/key_texts.h"
#include "base/clock.h"
#include "base/rng.h"
#include "event/datetime.h"
#include "token/hash.h"
#include "json/write.h"

#include <stdio.h>

/* key_create, key_list, key_revoke. */

struct new_key {
    char id[APIKEY_ID_LEN];
    char made[APIKEY_SECRET_MAX]; /* the secret of a key that was not imported */
    struct span secret;
    struct api_key key;
};

/* False: answered with what is wrong. */
static bool read_class(struct admin_request *request, struct new_key *new_key,
                       struct writer *answer)
{
    struct span name;
    if (admin_text(request, SPAN("class"), &name) && name.ptr &&
        apikey_class_of(name, &new_key->key.cls))
        return true;
    admin_fail(answer, "class is one of partner, publisher, adserver, admin");
    return false;
}

static bool read_texts(struct admin_request *request, struct new_key *new_key,
                       struct writer *answer)
{
    struct span texts[KEY_TEXTS_COUNT];
    char problem[KEY_PROBLEM_MAX];
    for (enum key_text i = 0; i < KEY_TEXTS_COUNT; i++) {
        if (admin_text(request, key_text_name(i), &texts[i])) continue;
        admin_fail(answer, "what a key is bound to are strings");
        return false;
    }
    if (!key_texts_check(problem, new_key->key.cls, texts, false)) {
        admin_fail(answer, problem);
        return false;
    }
    new_key->key.label = texts[KEY_LABEL];
    new_key->key.partner_id = texts[KEY_PARTNER_ID];
    new_key->key.publisher_id = texts[KEY_PUBLISHER_ID];
    new_key->key.advertiser_id = texts[KEY_ADVERTISER_ID];
    new_key->key.tag_id = texts[KEY_TAG_ID];
    return true;
}

static bool read_expiry(struct admin_request *request, struct new_key *new_key,
                        struct writer *answer)
{
    struct span text;
    bool ok = admin_text(request, SPAN("expires"), &text);
    if (ok && !text.ptr) return true;
    if (ok && datetime_parse_rfc3339(&new_key->key.expires_at_ms, text)) {
        /* 0 means never, so that instant is written as the one before. */
        if (new_key->key.expires_at_ms == 0) new_key->key.expires_at_ms = -1;
        return true;
    }
    admin_fail(answer, "expires is a time like 2026-11-21T06:00:00Z (RFC 3339)");
    return false;
}

static void make_secret(struct new_key *new_key)
{
    uint8_t entropy[APIKEY_ID_LEN + APIKEY_RANDOM_SIZE];
    struct writer out;
    rng_fill(entropy, sizeof entropy);
    writer_init(&out, new_key->made, sizeof new_key->made);
    apikey_make(new_key->id, &out, new_key->key.cls, entropy);
    new_key->secret = writer_text(&out);
    hash_wipe(entropy, sizeof entropy);
}

static bool read_or_make_secret(struct admin_request *request, struct new_key *new_key,
                                struct writer *answer)
{
    uint8_t entropy[APIKEY_ID_LEN];
    bool ok = admin_text(request, SPAN("secret"), &new_key->secret);
    if (ok && !new_key->secret.ptr) {
        make_secret(new_key);
        return true;
    }
    if (!ok || !apikey_importable(new_key->secret)) {
        admin_fail(answer, "a secret to import is 16 to 256 visible ASCII characters");
        return false;
    }
    rng_fill(entropy, sizeof entropy);
    apikey_make_id(new_key->id, entropy);
    return true;
}

static void answer_create(const struct new_key *new_key, enum outcome outcome,
                          struct writer *answer)
{
    if (outcome == OUTCOME_CONFLICT) {
        admin_fail(answer, "a key with this secret exists already: see key list");
        return;
    }
    if (outcome != OUTCOME_RECORDED) {
        admin_fail_unavailable(answer);
        return;
    }
    writer_lit(answer, "{\"ok\":true");
    json_write_text_member(answer, SPAN("id"), new_key->key.id);
    if (new_key->secret.ptr == new_key->made)
        json_write_text_member(answer, SPAN("secret"), new_key->secret);
    writer_char(answer, '}');
}

void admin_key_create(struct admin_request *request, struct writer *answer)
{
    struct new_key new_key = {0};
    struct ledger *ledger = request->admin->ledger;
    if (!read_class(request, &new_key, answer) || !read_texts(request, &new_key, answer) ||
        !read_expiry(request, &new_key, answer) || !read_or_make_secret(request, &new_key, answer))
        return;
    new_key.key.id = (struct span){new_key.id, sizeof new_key.id};
    new_key.key.created_at_ms = clock_wall_ms();
    hash_secret(new_key.key.hash, keyring_pepper(ledger_keyring(ledger)), new_key.secret);
    struct op op = {
        .kind = OP_KEY_CREATE, .received_at_ms = new_key.key.created_at_ms, .key = new_key.key};
    ledger_call(ledger, &op);
    answer_create(&new_key, op.outcome, answer);
    hash_wipe(&new_key, sizeof new_key);
}

void admin_write_key(struct writer *answer, const struct api_key *key)
{
    json_write_text_member(answer, SPAN("id"), key->id);
    json_write_text_member(answer, SPAN("class"), apikey_class_name(key->cls));
    json_write_text_member(answer, key_text_name(KEY_LABEL), key->label);
    json_write_text_member(answer, key_text_name(KEY_PARTNER_ID), key->partner_id);
    json_write_text_member(answer, key_text_name(KEY_PUBLISHER_ID), key->publisher_id);
    json_write_text_member(answer, key_text_name(KEY_ADVERTISER_ID), key->advertiser_id);
    json_write_text_member(answer, key_text_name(KEY_TAG_ID), key->tag_id);
    admin_write_time(answer, SPAN("created_at"), key->created_at_ms);
    if (key->expires_at_ms) admin_write_time(answer, SPAN("expires_at"), key->expires_at_ms);
    if (key->revoked_at_ms) admin_write_time(answer, SPAN("revoked_at"), key->revoked_at_ms);
}

static void write_key(const struct api_key *key, void *arg)
{
    struct writer *answer = arg;
    json_write_comma(answer);
    writer_char(answer, '{');
    admin_write_key(answer, key);
    writer_char(answer, '}');
}

void admin_key_list(struct admin_request *request, struct writer *answer)
{
    writer_lit(answer, "{\"ok\":true,\"keys\":[");
    keyring_each(ledger_keyring(request->admin->ledger), write_key, answer);
    writer_lit(answer, "]}");
}

void admin_key_revoke(struct admin_request *request, struct writer *answer)
{
    struct op op = {.kind = OP_KEY_REVOKE, .received_at_ms = clock_wall_ms()};
    if (!admin_text(request, SPAN("id"), &op.key_id) || !op.key_id.ptr) {
        admin_fail(answer, "id is missing: key list shows the ids");
        return;
    }
    ledger_call(request->admin->ledger, &op);
    if (op.outcome == OUTCOME_RECORDED)
        writer_lit(answer, "{\"ok\":true}");
    else if (op.outcome == OUTCOME_NOT_FOUND)
        admin_fail(answer, "no key has this id: key list shows the ids");
    else
        admin_fail_unavailable(answer);
}
