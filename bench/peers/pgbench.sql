\set k random(0, :keys - 1)
\set n random(1, 9000000000000000000)
BEGIN;
SELECT bid_id, advertiser_id FROM click WHERE click_id = lpad((:k)::text, 36, '0') AND expires_at > now();
INSERT INTO conversion (click_id, partner_id, event_type, idempotency_key, order_id, conversion_time, conversion_value, currency, channel, params) VALUES (lpad((:k)::text, 36, '0'), 'bench', 'purchase_completed', 'run-' || (:run)::text || '-' || (:n)::text, 'order-' || (:run)::text || '-' || (:n)::text, '2026-02-19T18:00:00Z', 49.99, 'USD', 'server', '{"extra":{"customer_tier":"gold"}}') ON CONFLICT DO NOTHING RETURNING id;
COMMIT;
