"""The conversion of docs/contract.md, as a team would write it with FastAPI and asyncpg.

BENCH_STATEMENTS: "two" looks the click up and inserts, in a transaction; "one" does both at once.
"""

import datetime
import decimal
import json
import os

import asyncpg
import fastapi
import pydantic
from fastapi.responses import JSONResponse

POOL = 16
KEYS = json.loads(os.environ["BENCH_KEYS"])  # cached: from secret to partner

CLICK = "SELECT bid_id, advertiser_id FROM click WHERE click_id = $1 AND expires_at > now()"
COLUMNS = ("click_id", "partner_id", "event_type", "idempotency_key", "event_id", "order_id",
           "conversion_time", "conversion_value", "currency", "channel", "tag_id", "page_url",
           "referrer", "user_agent", "session_id", "client_id", "params")
TYPES = {"conversion_time": "timestamptz", "conversion_value": "numeric", "params": "jsonb"}
VALUES = ", ".join(f"${i}::{TYPES.get(name, 'text')}" for i, name in enumerate(COLUMNS, 1))
NAMES = ", ".join(COLUMNS)
INSERT = f"""INSERT INTO conversion ({NAMES}) VALUES ({VALUES})
    ON CONFLICT DO NOTHING RETURNING id"""
BOTH = f"""WITH found AS (SELECT bid_id FROM click WHERE click_id = $1 AND expires_at > now()),
    added AS (INSERT INTO conversion ({NAMES}) SELECT {VALUES} FROM found WHERE bid_id IS NOT NULL
              ON CONFLICT DO NOTHING RETURNING id)
    SELECT (SELECT bid_id FROM found), (SELECT id FROM added), EXISTS (SELECT FROM found)"""


class Conversion(pydantic.BaseModel):
    click_id: str
    conversion_time: datetime.datetime
    conversion_value: decimal.Decimal
    currency: pydantic.constr(min_length=3, max_length=3)
    event_type: str = "purchase_completed"
    event_id: str | None = None
    order_id: str | None = None
    page_url: str | None = None
    referrer: str | None = None
    user_agent: str | None = None
    channel: str = "server"
    session_id: str | None = None
    client_id: str | None = None
    tag_id: str | None = None

    class Config:
        extra = "allow"


app = fastapi.FastAPI()
pool = None


@app.on_event("startup")
async def connect():
    global pool
    pool = await asyncpg.create_pool(min_size=POOL, max_size=POOL)


def partner_of(authorization: str = fastapi.Header("")):
    partner = KEYS.get(authorization.removeprefix("Bearer "))
    if partner is None:
        raise fastapi.HTTPException(401, "Invalid API key")
    return partner


def row_of(conversion, partner, key):
    extra = conversion.__dict__.keys() - conversion.__fields__.keys()
    params = json.dumps({"extra": {name: getattr(conversion, name) for name in extra}})
    more = {"partner_id": partner, "idempotency_key": key or conversion.event_id, "params": params}
    return [more[name] if name in more else getattr(conversion, name) for name in COLUMNS]


async def record_two(row):
    async with pool.acquire() as connection, connection.transaction():
        click = await connection.fetchrow(CLICK, row[0])
        if click is None or click["bid_id"] is None:
            return click is not None, None, None
        return True, click["bid_id"], await connection.fetchval(INSERT, *row)


async def record_one(row):
    async with pool.acquire() as connection:
        bid_id, added, found = await connection.fetchrow(BOTH, *row)
        return found, bid_id, added


record = {"one": record_one, "two": record_two}[os.environ["BENCH_STATEMENTS"]]


@app.post("/v1/api/conversion")
async def convert(conversion: Conversion, partner: str = fastapi.Depends(partner_of),
                  idempotency_key: str | None = fastapi.Header(None)):
    found, bid_id, added = await record(row_of(conversion, partner, idempotency_key))
    if not found:
        raise fastapi.HTTPException(404, "Click not found")
    if bid_id is None:
        raise fastapi.HTTPException(400, "Click missing bid id")
    return JSONResponse({"status": "ok" if added else "duplicate"})
