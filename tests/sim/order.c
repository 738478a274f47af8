#include "order.h"

#include "words.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

static struct api_key new_key(struct order *order, const struct ask *ask,
                              const uint8_t pepper[HASH_KEY_SIZE])
{
    static const enum apikey_class classes[] = {APIKEY_PARTNER, APIKEY_PUBLISHER, APIKEY_ADSERVER};
    char secret[64];
    struct api_key key = {
        .id = span_of(order->key_id),
        .cls = classes[ask->key_class],
        .label = SPAN("simulated"),
        .partner_id = words_name(order->ids[0], "partner", ask->partner),
        .publisher_id = words_name(order->ids[1], "publisher", ask->publisher),
        .advertiser_id = words_name(order->ids[2], "advertiser", ask->advertiser),
        .created_at_ms = clock_wall_ms(),
        .expires_at_ms = ask->key_expires_ms,
    };
    words_secret(secret, sizeof secret, ask->key);
    hash_secret(key.hash, pepper, span_of(secret));
    return key;
}

static struct poll new_poll(struct order *order, const struct ask *ask)
{
    struct poll poll = {.id = ask->poll, .question = SPAN("Which one?")};
    for (int option = 1; option <= OPTIONS_MAX; option++) {
        if (!(ask->options >> option & 1)) continue;
        char *text = order->texts[poll.options_count];
        int len = snprintf(text, sizeof order->texts[0], "option %d of text %d", option, ask->text);
        char *id = text + len + 1;
        snprintf(id, 8, "o%d", option);
        poll.options[poll.options_count++] = (struct poll_option){span_of(id), span_of(text)};
    }
    return poll;
}

static struct erase new_erasure(struct order *order, const struct ask *ask)
{
    for (int i = 0; i < ask->erased_count; i++)
        order->erased[i] = (uint64_t)ask->rows[i];
    rng_fill(order->erase_key, sizeof order->erase_key);
    return (struct erase){.table = (enum op_kind)ask->erased_kind,
                          .rows = order->erased,
                          .rows_count = (uint32_t)ask->erased_count,
                          .key = order->erase_key,
                          .is_last = ask->is_last};
}

/* As `adtally import` makes it of a line. */
static void fill_import(struct order *order, const struct ask *ask, const char *bid)
{
    struct op *op = &order->op;
    char id[UUID_TEXT];
    words_import(id, ask->import);
    words_copy(order->texts[0], sizeof order->texts[0], bid);
    op->happened_at_ms = ask->happened_ms;
    op->click = (struct click){
        .expires_at_ms = ask->end_ms,
        .ad = {.bid_id = span_of(order->texts[0]),
               .publisher_id = words_name(order->ids[0], "publisher", ask->publisher),
               .advertiser_id = words_name(order->ids[1], "advertiser", ask->advertiser)},
        .landing_url = SPAN("https://shop.example/"),
        .route = SPAN("import"),
    };
    ASSERT(uuid_read(&op->click.id, span_of(id)));
}

void order_fill(struct order *order, const struct ask *ask, const char *key_id, const char *text,
                const uint8_t pepper[HASH_KEY_SIZE])
{
    static const enum op_kind kinds[ASK_KINDS] = {
        [ASK_KEY_CREATE] = OP_KEY_CREATE,
        [ASK_KEY_REVOKE] = OP_KEY_REVOKE,
        [ASK_ROTATE] = OP_TOKEN_KEY_ROTATE,
        [ASK_RETIRE] = OP_TOKEN_KEY_RETIRE,
        [ASK_POLL_PUT] = OP_POLL_PUT,
        [ASK_POLL_WITHDRAW] = OP_POLL_WITHDRAW,
        [ASK_RETAIN] = OP_RETAIN,
        [ASK_ERASE] = OP_ERASE,
        [ASK_IMPORT] = OP_CLICK,
    };
    struct op *op = &order->op;
    snprintf(order->key_id, sizeof order->key_id, "%s", key_id);
    *op = (struct op){.kind = kinds[ask->kind], .received_at_ms = clock_wall_ms()};
    switch (ask->kind) {
    case ASK_KEY_CREATE:
        op->key = new_key(order, ask, pepper);
        break;
    case ASK_KEY_REVOKE:
        op->key_id = span_of(order->key_id);
        break;
    case ASK_ROTATE:
        token_key_generate(&op->token_key, clock_wall_ms());
        memcpy(op->token_key.kid, text, TOKEN_KID_LEN);
        break;
    case ASK_RETIRE:
        memcpy(op->token_key.kid, text, TOKEN_KID_LEN);
        break;
    case ASK_POLL_PUT:
        op->poll = new_poll(order, ask);
        break;
    case ASK_RETAIN:
        for (int i = 0; i < EVENT_TABLES; i++)
            op->retain.keep_ms[i] = ask->keep_ms;
        op->retain.rows_max = (uint32_t)ask->rows_max;
        break;
    case ASK_ERASE:
        op->erase = new_erasure(order, ask);
        break;
    case ASK_IMPORT:
        fill_import(order, ask, text);
        break;
    default:
        op->poll.id = ask->poll;
    }
}
