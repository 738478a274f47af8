#pragma once

/* What an impression or a click looked like when it was recorded: bits of the column `flags`, for
 * reports to leave out. A flag never changes an answer or what is counted. Stored: never give a bit
 * another meaning. */
enum event_flag {
    FLAG_BOT = 1,           /* the user agent is one of a known robot */
    FLAG_DATACENTER = 2,    /* the address is in one of the configured networks */
    FLAG_DOUBLE_CLICK = 4,  /* soon after another click of the same bid or visitor */
    FLAG_NO_IMPRESSION = 8, /* no impression of the click's bid was known */
    FLAGS_ALL = 15,
};
