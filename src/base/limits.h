#pragma once

/* Sizes the wire contract fixes (contract section 2), in bytes unless the name says otherwise.
 * What an operator may change is an option with these as defaults. */
enum {
    LIMIT_HEAD = 16 * 1024,
    LIMIT_TARGET = 8 * 1024,
    LIMIT_HEADERS_COUNT = 64,
    LIMIT_BODY = 64 * 1024,
    LIMIT_MINT_BODY = 1024 * 1024,

    LIMIT_ID = 256,
    LIMIT_EVENT_NAME = 128,
    LIMIT_URL = 8192,
    LIMIT_LANDING_URL = 2048,
    LIMIT_USER_AGENT = 2048,
    LIMIT_IDEMPOTENCY_KEY = 255,

    LIMIT_JSON_DEPTH = 32,
    LIMIT_MINT_ADS_COUNT = 500,
    LIMIT_MINTED_URL = 6 * 1024,

    LIMIT_COMMENT_CHARACTERS = 1000,
    LIMIT_POLL_QUESTION = 1000,
    LIMIT_POLL_OPTION = 256,

    LIMIT_CLICKS_PER_BID_COUNT = 100,
    LIMIT_AD_FEEDBACKS_PER_BID_COUNT = 100,

    LIMIT_EXTRA_STRING_CHARACTERS = 1024,
    LIMIT_EXTRA_DEPTH = 4,
    LIMIT_EXTRA_FIELDS_COUNT = 64,
    LIMIT_EXTRA = 8 * 1024,
};

_Static_assert(LIMIT_TARGET < LIMIT_HEAD, "a target is part of a head");
_Static_assert(LIMIT_EXTRA < LIMIT_BODY, "extra fields come out of a body");
