"""The request examples of the vendor pages, as they stand there; host and key are replaced."""

import json
import shutil

import pytest

from support.curl import sh
from support.world import table, unique

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

COLLECT_002 = """\
curl -X POST "https://events.thrad.ai/v1/api/collect" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "tag_id": "adv_001",
    "event_name": "page_view",
    "event_id": "pv-order-123-step-1",
    "timestamp": 1771879200,
    "page_url": "https://shop.example.com/checkout",
    "params": {
      "step": "shipping"
    }
  }'"""

CONVERSION_002 = """\
curl -X POST "https://events.thrad.ai/v1/api/conversion" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: order-123" \\
  -d '{
    "click_id": "11111111-1111-4111-8111-111111111111",
    "conversion_time": "2026-02-19T18:00:00Z",
    "conversion_value": 49.99,
    "currency": "USD",
    "order_id": "order-123",
    "event_type": "purchase_completed",
    "customer_tier": "gold"
  }'"""

CONVERSION_004 = """\
curl -X POST https://events.thrad.ai/api/conversion \\
-H "Authorization: Bearer $THRAD_API_KEY" \\
-H "Idempotency-Key: order_123" \\
-H "Content-Type: application/json" \\
-d '{
"click_id": "clk_xyz",
"conversion_time": "2026-05-26T12:34:56Z",
"conversion_value": 99.99,
"currency": "USD",
"order_id": "order_123",
"event_type": "purchase_completed"
}'"""

CONVERSIONS = {
    "seed 002": (CONVERSION_002, "11111111-1111-4111-8111-111111111111", "order-123", "49.99"),
    "seed 004": (CONVERSION_004, "clk_xyz", "order_123", "99.99"),
}


def curl(world, command, key=None):
    """Runs the command in a shell; status and body of the answer."""
    key = world.partner if key is None else key
    command = command.replace("https://events.thrad.ai", f"http://{world.host}")
    command = command.replace("YOUR_API_KEY", key)
    return sh(command, THRAD_API_KEY=key)


def test_the_collect_example_of_seed_002(world):
    with world.records(server_event=1):
        assert curl(world, COLLECT_002) == (204, "")
        assert curl(world, COLLECT_002) == (204, "")
    row = world.last("server_event")
    assert (row["tag_id"], row["event_name"]) == ("adv_001", "page_view")
    assert (row["event_id"], row["timestamp"]) == ("pv-order-123-step-1", 1771879200)
    assert row["page_url"] == "https://shop.example.com/checkout" and row["channel"] == "server"
    assert json.loads(row["params"]) == {"step": "shipping", "integration": "partner_s2s",
                                         "partner_id": "acme", "api_key_label": "main"}


def test_the_collect_example_on_its_alias(world):
    command = COLLECT_002.replace("/v1/api/collect", "/api/collect")
    command = command.replace("pv-order-123-step-1", unique("pv"))
    with world.records(server_event=1):
        assert curl(world, command) == (204, "")


@table("command, click_id, order, value", CONVERSIONS)
def test_a_conversion_example(world, command, click_id, order, value):
    with world.records():
        assert curl(world, command) == (404, '{"detail":"Click not found"}')
    click = world.click()
    command = command.replace(click_id, click)
    with world.records(conversion=1):
        assert curl(world, command) == (200, '{"status":"ok"}')
        assert curl(world, command) == (200, '{"status":"duplicate"}')
    row = world.last("conversion")
    assert (row["click_id"], row["order_id"], row["idempotency_key"]) == (click, order, order)
    assert (row["conversion_value"], row["currency"]) == (value, "USD")
    assert row["event_type"] == "purchase_completed" and row["channel"] == "server"
    if "customer_tier" in command:
        assert json.loads(row["params"])["extra"] == {"customer_tier": "gold"}


@table("command, click_id, order, value", CONVERSIONS)
def test_a_conversion_example_without_a_good_key(world, command, click_id, order, value):
    assert curl(world, command, "nobody") == (401, '{"detail":"Invalid API key"}')
    without = "\n".join(line for line in command.splitlines() if "Authorization" not in line)
    assert curl(world, without) == (401, '{"detail":"Missing bearer token"}')


@table("command, status", {
    "seed 002, without its currency, is 400": (CONVERSION_002, 400),
    "seed 004, without its currency, is 422": (CONVERSION_004, 422),
})
def test_a_conversion_example_that_lacks_a_field(world, command, status):
    without = "\n".join(line for line in command.splitlines() if '"currency"' not in line)
    got, body = curl(world, without)
    assert got == status
    (problem,) = json.loads(body)["detail"]
    assert problem["type"] == "missing" and problem["loc"] == ["body", "currency"]


def test_what_curl_sends_when_the_content_type_is_forgotten(world):
    without = "\n".join(x for x in COLLECT_002.splitlines() if "Content-Type" not in x)
    got, body = curl(world, without)
    assert got == 422 and json.loads(body)["detail"][0]["loc"] == ["header", "content-type"]
