-- Version 1. Only what PostgreSQL, Citus, YugabyteDB and CockroachDB all take; where one differs, see
-- docs/scale.md. Statements end with a semicolon at the end of a line.

-- Events: the same columns as in the data file (docs/schema.md). No unique key: those are below.
CREATE TABLE click (
  seq bigint NOT NULL, click_id text NOT NULL, recorded_at_ms bigint NOT NULL,
  bid_id text, advertiser_id text, publisher_id text NOT NULL, campaign_id text,
  product_id text, creative_id text, user_id text, session_id text, placement text,
  price text, currency text, pricing text,
  landing_url text NOT NULL, client_address text, user_agent text, route text NOT NULL,
  expires_at_ms bigint NOT NULL, flags bigint NOT NULL, checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);
CREATE TABLE conversion (
  seq bigint NOT NULL, recorded_at_ms bigint NOT NULL, partner_id text NOT NULL,
  click_id text NOT NULL, event_type text NOT NULL, idempotency_key text, event_id text,
  order_id text, click_seq bigint NOT NULL, api_key_id text NOT NULL,
  api_key_label text NOT NULL, conversion_time text NOT NULL,
  conversion_time_ms bigint NOT NULL, conversion_value text NOT NULL,
  value_units bigint NOT NULL, value_nanos bigint NOT NULL, currency text NOT NULL,
  tag_id text, channel text NOT NULL, page_url text, referrer text, user_agent text,
  session_id text, client_id text, params text, checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);
CREATE TABLE server_event (
  seq bigint NOT NULL, recorded_at_ms bigint NOT NULL, partner_id text NOT NULL,
  tag_id text NOT NULL, event_id text, event_name text NOT NULL, api_key_id text NOT NULL,
  api_key_label text NOT NULL, "timestamp" bigint NOT NULL, page_url text, referrer text,
  user_agent text, channel text NOT NULL, session_id text, client_id text,
  attribution_type text, impression_id text, click_id text, bid_id text,
  impression_state text, view_time_ms bigint, consent text, params text NOT NULL,
  checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);
CREATE TABLE impression (
  seq bigint NOT NULL, recorded_at_ms bigint NOT NULL,
  bid_id text, advertiser_id text, publisher_id text NOT NULL, campaign_id text,
  product_id text, creative_id text, user_id text, session_id text, placement text,
  price text, currency text, pricing text,
  client_address text, user_agent text, route text NOT NULL, flags bigint NOT NULL,
  checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);
CREATE TABLE feedback (
  seq bigint NOT NULL, recorded_at_ms bigint NOT NULL, bid_id text NOT NULL,
  impression_seq bigint NOT NULL, feedback_type text NOT NULL, feedback_text text,
  checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);
CREATE TABLE ad_feedback (
  seq bigint NOT NULL, recorded_at_ms bigint NOT NULL, feedback_id text NOT NULL,
  sent_session_id text NOT NULL,
  bid_id text, advertiser_id text, publisher_id text NOT NULL, campaign_id text,
  product_id text, creative_id text, user_id text, session_id text, placement text,
  price text, currency text, pricing text,
  api_key_id text NOT NULL, sentiment text NOT NULL, reasons text, comment text,
  sent_placement text, sent_placement_id text, sent_user_id text, device text,
  checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);
CREATE TABLE vote (
  seq bigint NOT NULL, recorded_at_ms bigint NOT NULL, poll_id bigint NOT NULL,
  option_id text NOT NULL,
  bid_id text NOT NULL, advertiser_id text, publisher_id text NOT NULL, campaign_id text,
  product_id text, creative_id text, user_id text, session_id text, placement text,
  price text, currency text, pricing text, checksum bigint NOT NULL
) PARTITION BY RANGE (recorded_at_ms);

-- For who reads on from a sequence.
CREATE INDEX click_seq ON click (seq);
CREATE INDEX conversion_seq ON conversion (seq);
CREATE INDEX server_event_seq ON server_event (seq);
CREATE INDEX impression_seq ON impression (seq);
CREATE INDEX feedback_seq ON feedback (seq);
CREATE INDEX ad_feedback_seq ON ad_feedback (seq);
CREATE INDEX vote_seq ON vote (seq);

-- What makes an event count once. The first column of each key is where it would be distributed by.
CREATE TABLE click_key (
  click_id text PRIMARY KEY, seq bigint NOT NULL, bid_id text, advertiser_id text,
  expires_at_ms bigint NOT NULL
);
CREATE TABLE conversion_key (
  click_id text NOT NULL, partner_id text NOT NULL, event_type text NOT NULL,
  layer smallint NOT NULL, key text NOT NULL, seq bigint NOT NULL, expires_at_ms bigint NOT NULL,
  PRIMARY KEY (click_id, partner_id, event_type, layer, key)
);
CREATE TABLE bid_key (
  bid_id text NOT NULL, kind smallint NOT NULL, slot smallint NOT NULL, seq bigint NOT NULL,
  recorded_at_ms bigint NOT NULL, detail text,
  PRIMARY KEY (bid_id, kind, slot)
);
CREATE TABLE event_key (
  tag_id text NOT NULL, partner_id text NOT NULL, event_id text NOT NULL, seq bigint NOT NULL,
  recorded_at_ms bigint NOT NULL,
  PRIMARY KEY (tag_id, partner_id, event_id)
);
CREATE TABLE session_key (
  publisher_id text NOT NULL, session_id text NOT NULL, slot bigint NOT NULL,
  recorded_at_ms bigint NOT NULL,
  PRIMARY KEY (publisher_id, session_id, slot)
);
CREATE TABLE vote_count (
  poll_id bigint NOT NULL, option_id text NOT NULL, slot smallint NOT NULL, votes bigint NOT NULL,
  PRIMARY KEY (poll_id, option_id, slot)
);

-- What is configured.
CREATE TABLE poll (
  poll_id bigint PRIMARY KEY, question text NOT NULL, cta_url text,
  updated_at_ms bigint NOT NULL, withdrawn_at_ms bigint
);
CREATE TABLE poll_option (
  poll_id bigint NOT NULL, position bigint NOT NULL, option_id text NOT NULL, text text NOT NULL,
  PRIMARY KEY (poll_id, option_id)
);
CREATE TABLE poll_count (
  poll_id bigint NOT NULL, option_id text NOT NULL, votes bigint NOT NULL,
  PRIMARY KEY (poll_id, option_id)
);
CREATE TABLE api_key (
  id text PRIMARY KEY, class text NOT NULL, label text NOT NULL, partner_id text,
  publisher_id text, advertiser_id text, tag_id text, hash bytea NOT NULL UNIQUE,
  created_at_ms bigint NOT NULL, expires_at_ms bigint, revoked_at_ms bigint
);

-- The server's own.
CREATE TABLE secret (name text PRIMARY KEY, value bytea NOT NULL, created_at_ms bigint NOT NULL);
CREATE TABLE counter (id bigint PRIMARY KEY, next_seq bigint NOT NULL);
INSERT INTO counter VALUES (1, 1);
CREATE TABLE lane (
  lane_id bigint PRIMARY KEY, node text NOT NULL, batch bigint NOT NULL, next_seq bigint NOT NULL,
  lease_end bigint NOT NULL, seen_at_ms bigint NOT NULL
);
CREATE TABLE change (id bigint PRIMARY KEY, number bigint NOT NULL);
INSERT INTO change VALUES (1, 0);
-- What each node let through of each partner key (rate_limit), by the node's first lane.
CREATE TABLE rate_use (
  key_id text NOT NULL, lane_id bigint NOT NULL, used bigint NOT NULL, seen_at_ms bigint NOT NULL,
  PRIMARY KEY (key_id, lane_id)
);
