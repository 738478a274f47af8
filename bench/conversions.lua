-- wrk ... -s conversions.lua URL -- RUN CLICKS_FILE PARTNER_KEY
--
-- Conversions as in the vendor page's example, each with an Idempotency-Key and an order id that no
-- other request of any thread or run has. RUN is unique per run; CLICKS_FILE has a click id a line.
-- Only the numbers and the click change, at fixed width, so a request is a few concatenations and
-- costs the same whichever server it goes to.

local threads_count = 0

function setup(thread)
    threads_count = threads_count + 1
    thread:set("thread_number", threads_count)
end

local clicks, count = {}, 0
local head, after_key, after_click, tail

function init(args)
    local run, clicks_file, partner_key = args[1], args[2], args[3]
    for line in io.lines(clicks_file) do
        clicks[#clicks + 1] = line
    end
    local prefix = run .. "-" .. thread_number .. "-"
    local before_click = '{"click_id":"'
    local before_order = '","conversion_time":"2026-02-19T18:00:00Z","conversion_value":49.99,'
        .. '"currency":"USD","order_id":"' .. prefix
    local after_order = '","event_type":"purchase_completed","customer_tier":"gold"}'
    local length = #before_click + #clicks[1] + #before_order + 10 + #after_order
    head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
        .. "\r\nAuthorization: Bearer " .. partner_key
        .. "\r\nContent-Type: application/json\r\nContent-Length: " .. length
        .. "\r\nIdempotency-Key: " .. prefix
    after_key = "\r\n\r\n" .. before_click
    after_click = before_order
    tail = after_order
    -- Threads begin in different places, so that they do not walk the clicks in step.
    count = 0
    offset = thread_number * 4999
end

function request()
    count = count + 1
    local number = string.format("%010d", count)
    local click = clicks[(count + offset) % #clicks + 1]
    return head .. number .. after_key .. click .. after_click .. number .. tail
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"broken":%d,"timeouts":%d,"not_2xx":%d,'
        .. '"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, errors.connect + errors.read + errors.write,
        errors.timeout, errors.status, latency:percentile(50), latency:percentile(99)))
end
