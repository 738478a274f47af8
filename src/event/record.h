#pragma once

#include "base/span.h"
#include "event/amount.h"
#include "event/uuid.h"

#include <stdbool.h>
#include <stdint.h>

/* What is recorded of each kind of event. Spans are borrowed; absent ones become SQL NULL. Ids are
 * what the client or the token said, checked and otherwise as they came. */

/* A GET of a redirect (contract section 4). The click's time is the one in its id. */
struct click {
    struct uuid id;        /* version 7, made by the server for this click */
    int64_t expires_at_ms; /* end of its life: thrad_exp, to the millisecond */
    struct span bid_id;    /* absent in tokens of others: such a click earns no conversion */
    struct span publisher_id, campaign_id, product_id, creative_id, advertiser_id;
    struct span user_id, session_id, placement;
    struct span price, currency, pricing;
    struct span landing_url;
    struct span client_address, user_agent;
    struct span route; /* "redirect" or "click" */
};

/* Who sent a server-to-server event: facts of the API key. */
struct sender {
    struct span partner_id, api_key_id, api_key_label;
    struct span advertiser_id; /* when the key is bound to one, else absent */
};

/* A conversion (contract section 5). */
struct conversion {
    struct sender sender;
    struct span click_id;
    struct span event_type;
    struct span idempotency_key; /* the header's */
    struct span event_id;
    struct span order_id;
    bool check_order;            /* whether order_id may make this one a duplicate */
    struct span conversion_time; /* as sent */
    int64_t conversion_time_ms;
    struct span conversion_value; /* as sent */
    struct amount value;
    struct span currency; /* upper case */
    struct span tag_id, channel;
    struct span page_url, referrer, user_agent;
    struct span session_id, client_id;
    struct span params; /* JSON object text or absent */
};

/* A collected server event (contract section 5). */
struct server_event {
    struct sender sender;
    struct span event_name;
    struct span tag_id;   /* always there: derived when it was not sent */
    struct span event_id; /* absent: never a duplicate */
    int64_t timestamp;    /* Unix seconds */
    struct span page_url, referrer, user_agent, channel;
    struct span session_id, client_id, attribution_type;
    struct span impression_id, click_id, bid_id, impression_state;
    bool has_view_time;
    int64_t view_time_ms;
    struct span consent; /* JSON object text or absent */
    struct span params;  /* JSON object text */
};
