#pragma once

#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Random ops of all kinds out of few names, so that keys meet: what is asked of the store, and
 * enough of it to say later which row is whose. */

enum {
    PLAN_BIDS = 24,
    PLAN_POLLS = 3,
    PLAN_POLL_OPTIONS = 4,
    PLAN_KEYS = 12,
    PLAN_TOKENS = 40,
    PLAN_BATCH_MAX = 64,
    PLAN_PAYLOAD_MAX = 6000,
    PLAN_ERASE_MAX = 4,
    PLAN_NONE = -1,
};

/* One thing that a client wants recorded, however often it is sent. Its names by number. */
struct event {
    enum op_kind kind;
    int number;        /* in the row, so that the row can be told */
    int click;         /* conversion: the event of its click */
    int partner, type; /* conversion, server event (type: its tag) */
    int key, order;    /* or PLAN_NONE */
    bool has_header;   /* conversion: the key is an Idempotency-Key */
    bool check_order;
    int bid, session, mood; /* publisher's side; a click may have no bid */
    int poll, option;       /* vote, put (option: how many it has), withdraw, results */
    struct uuid id;         /* click, ad-feedback */
    int64_t at_ms;          /* when it was sent last */
    int era;                /* its names are of this one */
    bool is_import;         /* it comes from elsewhere, and happened there a day before */
    struct {
        enum op_kind table;
        uint64_t rows[PLAN_ERASE_MAX];
        uint32_t rows_count;
    } erase;
};

/* An op with the memory that its spans point into. */
struct request {
    struct op op;
    int event;
    char names[8][24];
    char click_id[UUID_TEXT_LEN];
    char payload[PLAN_PAYLOAD_MAX];
};

/* What is fixed by an event's number: text of some length in its row. */
struct span plan_payload(int number, char memory[PLAN_PAYLOAD_MAX]);

/* The API key and the token key of a number. */
void plan_api_key(int number, char id[APIKEY_ID_LEN], uint8_t hash[HASH_SIZE]);
void plan_token_key(int number, struct token_key *key);

/* A new event of any kind, or of `kind`. `clicks` are the events that conversions may name; `era`
 * tells its bids, keys and orders from those of other eras. */
void plan_event(struct event *event, int number, int era, const int *clicks, int clicks_count);
void plan_event_of(struct event *event, enum op_kind kind, int number, int era, const int *clicks,
                   int clicks_count);

/* Between two eras everything becomes old that ever does. */
enum { PLAN_ERA_DAYS = 1000, PLAN_KEEP_DAYS = 1 };
#define PLAN_DAY_MS ((int64_t)86400000)

/* The op that asks for events[index] at `now_ms`. */
void plan_request(struct request *request, const struct event *events, int index, int64_t now_ms);
