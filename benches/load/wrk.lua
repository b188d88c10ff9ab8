-- Requests for wrk, and its results as one line of JSON.
-- Arguments: how many requests go out at a time, then a file with a line "HOST PATH" for each request to be
-- drawn from at random ("-": wrk's own). Without either wrk repeats its one request, which costs it least.

local function read_requests(name)
   local requests = {}
   for line in io.lines(name) do
      local host, path = line:match("^(%S+) (%S+)$")
      requests[#requests + 1] = wrk.format(nil, path, { ["Host"] = host })
   end
   return requests
end

function init(args)
   local depth, file = tonumber(args[1]), args[2]
   if file ~= "-" then
      local requests = read_requests(file)
      math.randomseed(1)
      request = function() return requests[math.random(#requests)] end
   elseif depth > 1 then
      local batch = wrk.format():rep(depth)
      request = function() return batch end
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "bytes": %d, "p50": %d, "p99": %d, "failed": %d, "statuses": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
