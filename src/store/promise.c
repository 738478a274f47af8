#include "store/promise.h"

const struct promise store_promises[] = {
    {"sequences used by more than one event",
     "SELECT count(*) FROM (SELECT seq FROM " PROMISE_SEQUENCES
     " GROUP BY seq HAVING count(*) > 1) AS t"},
    {"click ids recorded more than once",
     "SELECT count(*) FROM (SELECT 1 FROM click GROUP BY click_id HAVING count(*) > 1) AS t"},
    {"conversions without their click",
     "SELECT count(*) FROM conversion AS v WHERE NOT EXISTS (SELECT 1 FROM click AS c"
     " WHERE c.seq = v.click_seq AND c.click_id = v.click_id)"},
    {"conversions of a click without bid",
     "SELECT count(*) FROM conversion AS v JOIN click AS c ON c.seq = v.click_seq"
     " WHERE c.bid_id IS NULL"},
    {"conversions counted twice under one key",
     "SELECT count(*) FROM (SELECT 1 FROM conversion WHERE coalesce(idempotency_key, event_id) IS"
     " NOT NULL GROUP BY partner_id, click_id, event_type, coalesce(idempotency_key, event_id)"
     " HAVING count(*) > 1) AS t"},
    {"conversions without Idempotency-Key counted twice for one order",
     "SELECT count(*) FROM (SELECT idempotency_key, row_number() OVER (PARTITION BY partner_id,"
     " click_id, event_type, order_id ORDER BY seq) AS nth FROM conversion WHERE order_id IS NOT"
     " NULL) AS t WHERE nth > 1 AND idempotency_key IS NULL"},
    {"bids with more than one vote",
     "SELECT count(*) FROM (SELECT 1 FROM vote GROUP BY bid_id HAVING count(*) > 1) AS t"},
    {"votes for an option that its poll does not have",
     "SELECT count(*) FROM vote AS v WHERE NOT EXISTS (SELECT 1 FROM poll_option AS o"
     " WHERE o.poll_id = v.poll_id AND o.option_id = v.option_id)"},
    {"feedback without its impression",
     "SELECT count(*) FROM feedback AS f WHERE NOT EXISTS (SELECT 1 FROM impression AS i"
     " WHERE i.seq = f.impression_seq AND i.bid_id = f.bid_id)"},
    {"impressions with more than one feedback",
     "SELECT count(*) FROM (SELECT 1 FROM feedback GROUP BY impression_seq HAVING count(*) > 1)"
     " AS t"},
    {"votes in a poll that is not there",
     "SELECT count(*) FROM vote WHERE poll_id NOT IN (SELECT poll_id FROM poll)"},
    {"polls without one to 20 options",
     "SELECT count(*) FROM poll AS p WHERE (SELECT count(*) FROM poll_option AS o WHERE"
     " o.poll_id = p.poll_id) NOT BETWEEN 1 AND 20"},
    {"options without their poll",
     "SELECT count(*) FROM poll_option WHERE poll_id NOT IN (SELECT poll_id FROM poll)"},
};

const size_t store_promises_count = sizeof store_promises / sizeof store_promises[0];

void promise_report(struct writer *report, uint64_t *findings, const char *text, int64_t count)
{
    if (!count) return;
    *findings += (uint64_t)count;
    writer_i64(report, count);
    writer_char(report, ' ');
    writer_put(report, span_of(text));
    writer_char(report, '\n');
}
