-- Who did what and why, beside the deed: about the last ten thousand of a log. `n` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end
