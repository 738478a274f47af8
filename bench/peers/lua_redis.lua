-- The conversion of docs/contract.md on Redis: EXISTS click, SET NX for both keys, XADD. KEYS and
-- REDIS are of lua_redis.conf.
local cjson = require "cjson.safe"
local redis = require "nginx.redis"

local POOL_IDLE_MS, POOL_SIZE = 60000, 600
local CLICK_LIFE = 90 * 24 * 3600

local function answer(status, body)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #body
    ngx.print(body)
    return ngx.exit(status)
end

local function is_text(value, max)
    return type(value) == "string" and #value > 0 and #value <= max
end

local function is_valid(given)
    return type(given) == "table" and is_text(given.click_id, 255) and is_text(given.currency, 3)
        and #given.currency == 3 and type(given.conversion_value) == "number"
        and is_text(given.conversion_time, 40)
        and ngx.re.match(given.conversion_time, [[^\d{4}-\d\d-\d\dT\d\d:\d\d]], "jo") ~= nil
end

-- Whether it is a new one. A key that was taken before the other turned out to be known stays taken.
local function record(db, partner, given, key, body)
    local scope = partner .. ":" .. given.click_id .. ":" .. (given.event_type or "purchase_completed")
    db:init_pipeline(2)
    db:set("key:" .. scope .. ":" .. (key or given.event_id or ""), 1, "NX", "EX", CLICK_LIFE)
    db:set("order:" .. scope .. ":" .. (given.order_id or ""), 1, "NX", "EX", CLICK_LIFE)
    local set = assert(db:commit_pipeline())
    if set[1] ~= "OK" or set[2] ~= "OK" then return false end
    assert(db:xadd("conversions", "*", "partner", partner, "body", body))
    return true
end

return function()
    local partner = KEYS[(string.gsub(ngx.var.http_authorization or "", "^Bearer ", ""))]
    if not partner then return answer(401, '{"detail":"Invalid API key"}') end
    ngx.req.read_body()
    local body = ngx.req.get_body_data() or ""
    local given = cjson.decode(body)
    if not is_valid(given) then return answer(422, '{"detail":"Invalid"}') end
    local db = redis:new()
    assert(db:connect(REDIS))
    if assert(db:exists("click:" .. given.click_id)) == 0 then
        db:set_keepalive(POOL_IDLE_MS, POOL_SIZE)
        return answer(404, '{"detail":"Click not found"}')
    end
    local is_new = record(db, partner, given, ngx.var.http_idempotency_key, body)
    db:set_keepalive(POOL_IDLE_MS, POOL_SIZE)
    return answer(200, is_new and '{"status":"ok"}' or '{"status":"duplicate"}')
end
