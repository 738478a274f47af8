-- For Citus, once, after a first start of adtally made the tables and before there are events:
--   psql "$STORE" -f sql/citus.sql
-- Each table of keys is distributed by the first column of its key, so that a unique violation is one
-- node's to tell. What a few rows hold stays with the coordinator, to which all nodes of adtally connect.
SELECT create_distributed_table('click_key', 'click_id');
SELECT create_distributed_table('conversion_key', 'click_id', colocate_with => 'click_key');
SELECT create_distributed_table('bid_key', 'bid_id', colocate_with => 'none');
SELECT create_distributed_table('event_key', 'tag_id', colocate_with => 'none');
SELECT create_distributed_table('session_key', 'publisher_id', colocate_with => 'none');
SELECT create_distributed_table('vote_count', 'poll_id', colocate_with => 'none');

-- Not by a bid: an event may have none.
SELECT create_distributed_table('click', 'seq', colocate_with => 'none');
SELECT create_distributed_table('conversion', 'seq', colocate_with => 'click');
SELECT create_distributed_table('server_event', 'seq', colocate_with => 'click');
SELECT create_distributed_table('impression', 'seq', colocate_with => 'click');
SELECT create_distributed_table('feedback', 'seq', colocate_with => 'click');
SELECT create_distributed_table('ad_feedback', 'seq', colocate_with => 'click');
SELECT create_distributed_table('vote', 'seq', colocate_with => 'click');
