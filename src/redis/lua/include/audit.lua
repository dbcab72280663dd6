-- Who did what and why, beside the deed: about the last ten thousand of a queue.
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  redis.call("XADD", holdfast .. "audit", "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count)
end
