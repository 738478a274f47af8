#pragma once

#include "base/span.h"
#include "event/amount.h"
#include "event/uuid.h"

#include <stdbool.h>
#include <stdint.h>

/* What is recorded of each kind of event. Spans are borrowed; absent ones become SQL NULL. Ids are
 * what the client or the token said, checked and otherwise as they came. */

/* What an ad's token says about the ad (contract section 6): the facts that a row of an impression,
 * click, vote or feedback carries along, since minting stored nothing. */
struct ad_facts {
    struct span bid_id; /* absent only in click tokens of others */
    struct span advertiser_id, publisher_id, campaign_id, product_id, creative_id;
    struct span user_id, session_id, placement;
    struct span price, currency, pricing;
};

/* The one who looked or clicked. */
struct visitor {
    struct span address; /* masked as configured */
    struct span user_agent;
    uint32_t flags; /* bits of enum event_flag; a click gets more when it is recorded */
    uint64_t key;   /* never stored: the same for clicks of one visitor on one campaign */
};

/* The first view or ack ping of a bid (contract section 4). */
struct impression {
    struct ad_facts ad;
    struct visitor visitor;
    struct span route; /* "view" or "ack" */
};

/* Feedback by bid (seed 000). */
struct feedback {
    struct span bid_id;
    struct span type; /* "positive" or "negative" */
    struct span text;
};

/* Feedback on a served ad by its impUrl (seed 001). `sent_` is what the publisher's request said,
 * beside what the token says. */
struct ad_feedback {
    struct uuid id;     /* of a retry that records nothing: the one that stands */
    struct ad_facts ad; /* of the token; its publisher is the key's */
    struct span api_key_id;
    struct span sent_session_id, sent_user_id, sent_placement, sent_placement_id;
    struct span sentiment;
    struct span reasons; /* canonical JSON array, absent without reasons */
    struct span comment;
    struct span device;     /* JSON object text */
    int64_t retry_after_ms; /* out, when limited: when the next one would be let through */
};

/* A vote in a sponsored poll (seed 003), and a look at its results. */
enum { POLL_OPTIONS_MAX = 20, POLL_OPTIONS_MIN = 2 };

struct poll_option {
    struct span id, text;
};

struct poll {
    int64_t id;
    struct span question;
    struct span cta_url; /* absent: none */
    struct poll_option options[POLL_OPTIONS_MAX];
    uint32_t options_count;
    int64_t withdrawn_at_ms; /* 0: live */
    const uint64_t *counts; /* of the options: votes that were counted elsewhere; NULL: as before */
};

struct poll_results {
    const struct poll *poll;          /* the store's: stays until the store is closed */
    uint64_t votes[POLL_OPTIONS_MAX]; /* in the poll's order */
};

struct vote {
    struct ad_facts ad;
    int64_t poll_id;
    struct span option_id;       /* absent: only the results are asked for */
    struct poll_results results; /* out: with this vote, unless it was refused */
};

/* A GET of a redirect (contract section 4). The click's time is the one in its id. */
struct click {
    struct uuid id;        /* version 7, made by the server for this click */
    int64_t expires_at_ms; /* end of its life: thrad_exp, to the millisecond */
    struct ad_facts ad;    /* without a bid, a click earns no conversion */
    struct visitor visitor;
    struct span landing_url;
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
