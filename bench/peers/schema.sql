-- The same conversion in PostgreSQL: what a team would write. Two unique constraints are the two
-- layers of deduplication; a NULL key is never a duplicate.
CREATE TABLE click (
    click_id text PRIMARY KEY,
    bid_id text,
    advertiser_id text,
    expires_at timestamptz NOT NULL
);

CREATE TABLE conversion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    click_id text NOT NULL,
    partner_id text NOT NULL,
    event_type text NOT NULL,
    idempotency_key text,
    event_id text,
    order_id text,
    conversion_time timestamptz NOT NULL,
    conversion_value numeric NOT NULL,
    currency text NOT NULL,
    channel text NOT NULL,
    tag_id text,
    page_url text,
    referrer text,
    user_agent text,
    session_id text,
    client_id text,
    params jsonb,
    UNIQUE (partner_id, click_id, event_type, idempotency_key),
    UNIQUE (partner_id, click_id, event_type, order_id)
);
