-- wrk ... -s requests.lua URL -- FILE THREADS
--
-- Requests from a file, each sent once: a line is PATH, or PATH, a tab and a JSON body to POST.
-- Thread k of THREADS takes every THREADSth line from the kth on.

local threads = {}

function setup(thread)
    threads[#threads + 1] = thread
    thread:set("thread_number", #threads)
end

local requests = {}
sent = 0

function init(args)
    local stride, number = tonumber(args[2]), 0
    local host = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
    for line in io.lines(args[1]) do
        number = number + 1
        if number % stride == thread_number % stride then
            local path, body = line:match("^([^\t]*)\t?(.*)$")
            if body == "" then
                requests[#requests + 1] = "GET " .. path .. host .. "\r\n"
            else
                requests[#requests + 1] = "POST " .. path .. host
                    .. "Content-Type: application/json\r\nContent-Length: " .. #body
                    .. "\r\n\r\n" .. body
            end
        end
    end
    available = #requests
end

function request()
    sent = sent + 1
    return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
    local errors, repeated = summary.errors, 0
    for _, thread in ipairs(threads) do
        repeated = repeated + math.max(0, thread:get("sent") - thread:get("available"))
    end
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"broken":%d,"timeouts":%d,"not_2xx":%d,'
        .. '"p50_us":%d,"p99_us":%d,"repeated":%d}\n',
        summary.requests, summary.duration, errors.connect + errors.read + errors.write,
        errors.timeout, errors.status, latency:percentile(50), latency:percentile(99), repeated))
end
